"""What a run really used: the meter, the record, and how a command is stopped and resumed."""
