"""What runs used and emitted, for people, papers and machines."""
