"""Ways to find the gain that training starts from: a file for each."""
