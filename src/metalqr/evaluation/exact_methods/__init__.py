"""First-order methods with exact gradients, and their rates: predicted by theory, and measured.

On each task separately (`task_descent`): gradient descent, natural gradient and Gauss-Newton (Section 3.1). On the
meta-objective (`meta_descent`): the process that Theorem 2 is about, without the errors of the estimate.
"""
