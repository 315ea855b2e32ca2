"""Pictures patch after patch: a loss that comes in pieces."""
