"""Everything random: streams of random numbers, and rollouts of noisy linear systems."""
