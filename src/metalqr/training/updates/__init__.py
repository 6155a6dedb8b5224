"""The update rules, a file for each; their names in a config are those of the files."""
