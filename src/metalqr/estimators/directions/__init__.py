"""Distributions of perturbations, a file each."""
