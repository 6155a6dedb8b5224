"""Training whose rollouts are made elsewhere: gains are asked for by a file, and their costs told by another one."""
