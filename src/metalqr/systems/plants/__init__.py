"""Named systems: a file for each plant; its name in a config is that of the file."""
