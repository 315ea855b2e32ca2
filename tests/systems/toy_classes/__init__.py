"""A colour for each class: a generator that knows classes and no text."""
