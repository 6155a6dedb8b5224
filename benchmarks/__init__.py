"""How fast metalqr is, beside the ways one would write the same work without it: ``make bench``."""
