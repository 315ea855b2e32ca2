"""Intensity in time: files as people have them, services, and what is common to both."""
