"""Clips with their receipts, and trainings, as one page that opens anywhere and asks nobody."""
