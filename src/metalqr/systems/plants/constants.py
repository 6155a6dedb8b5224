"""Constants that the plants share."""

#: Standard gravity as the sources round it, in m/s².
GRAVITY = 9.81
