"""Sources of tasks: a file for each task family; their names in a config are those of the files."""
