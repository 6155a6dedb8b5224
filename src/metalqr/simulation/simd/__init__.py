"""The compiled rollouts: vectors of lanes, their random numbers and coordinates, and how they are compiled."""
