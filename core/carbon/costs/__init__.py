"""Energy before it is used, what machines cost to make, and how such figures are written."""
