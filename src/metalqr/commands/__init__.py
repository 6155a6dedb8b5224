"""The commands of ``metalqr``, a module each: its options, and what it prints."""
