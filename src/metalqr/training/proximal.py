"""The setting that both forms of the Moreau envelope share."""

from metalqr.config import settings as declared
from metalqr.config.settings import Real, setting


class Proximal(declared.Settings):
    """Settings of the Moreau envelope."""

    proximal_weight: Real = setting(
        1.0,
        symbol=r"\lambda",
        about="weight of the squared distance to the common gain: 0 would give every task its own optimum, a large one "
        "the best single gain; a good learning rate is proportional to its inverse",
        above=0,
    )
