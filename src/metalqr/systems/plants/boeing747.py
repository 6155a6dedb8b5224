"""The longitudinal motion of a Boeing 747, in the forms that papers print and run."""

from typing import Any, Literal

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import setting
from metalqr.systems.system import NamedSystem, Plant, SystemSettings

#: The form ``pan2025`` is ``code`` divided by this times its spectral radius.
PAN_FACTOR = 1.1


@families.register("boeing747")
class Boeing747(NamedSystem):
    """The longitudinal motion of a Boeing 747, linearised at level flight at 40 000 ft and 774 ft/s, in steps of 1 s.

    States are deviations of the speeds along and across the body's axis, of the pitch rate and of the pitch angle;
    inputs are deviations of elevator angle and thrust. Units are those of the source: feet, and hundredths of a radian.
    The four forms differ in A alone:

    - ``original``, as published; stable;
    - ``unstable``, as printed in arXiv 2401.14534: with the diagonal entries 1.22 and 1.55;
    - ``code``, as the code of that paper runs it: the second row has 4.7 on the diagonal in place of 0.47, 4.7;
    - ``pan2025``, as the authors of Meta-Policy Optimization run it in 2025: ``code`` divided by 1.1 times its spectral
      radius, which is stable.
    """

    states = ("speed along [ft/s]", "speed across [ft/s]", "pitch rate [crad/s]", "pitch angle [crad]")
    inputs = ("elevator angle [crad]", "thrust")
    reference = "Ishihara et al. 1992; Boyd, Vandenberghe, Introduction to Applied Linear Algebra, 17.2"

    class Settings(SystemSettings):
        """The form of its matrices."""

        form: Literal["original", "unstable", "code", "pan2025"] = setting(
            "original", about="published, or as papers print and run it"
        )

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = np.array(
            [
                [0.99, 0.03, -0.02, -0.32],
                [0.01, 0.47, 4.70, 0.00],
                [0.02, -0.06, 0.40, 0.00],
                [0.01, -0.04, 0.72, 0.99],
            ]
        )
        if p.form != "original":
            A[0, 0], A[3, 3] = 1.22, 1.55
        if p.form in ("code", "pan2025"):
            A[1, 1:3] = 4.7, 0.0
        if p.form == "pan2025":
            A /= PAN_FACTOR * np.abs(np.linalg.eigvals(A)).max()
        B = [
            [0.01, 0.99],
            [-3.44, 1.66],
            [-0.83, 0.44],
            [-0.47, 0.25],
        ]
        return Plant(A, B, Q=np.eye(4), R=np.eye(2), dt=1.0)
