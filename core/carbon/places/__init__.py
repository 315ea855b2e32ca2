"""Where a run takes place, and what its grid is usually like."""
