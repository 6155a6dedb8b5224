"""Functions of one gain with value, gradient and Hessian product: the mean cost and the meta-objective."""
