"""Helpers of every other package: atomic writes, checksums, checks of arguments, names imported when first used."""
