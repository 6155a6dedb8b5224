"""The benchmarks of ``make bench``: metalqr against other implementations of the same work."""
