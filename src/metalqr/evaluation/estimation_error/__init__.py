"""The true error of Algorithms 1 and 2: their estimates against the exact gradients, as functions of M, r and l.

Lemmas 6 and 7 of the paper bound these errors; here they are measured, together with their bias, the part that more
perturbations do not remove.
"""
