"""Where meta-learning pays: exact gaps and measured distances, as the tasks of a family differ more and more."""
