"""What every other package may use: atomic writes, checksums, names that are imported when first used."""
