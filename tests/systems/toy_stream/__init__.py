"""Waves that go on for ever: a clip of any length and size, block after block."""
