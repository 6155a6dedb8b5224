"""Helpers of all packages: atomic writes, checksums, checks of arguments, names that are imported when first used."""
