"""The block ``theory`` of the config."""

from typing import Annotated

from pydantic import Field

from metalqr.config.settings import (
    MAX_COUNT,
    AllOrListed,
    Count,
    Distinct,
    Radius,
    Real,
    Seed,
    Settings,
    setting,
)


class Audit(Settings):
    """Every inequality of the lemmas, checked at gains of the sub-level set of Definition 2."""

    gains: Count = setting(1000, about="random gains in the sub-level set, per case", size=True)
    perturbations: Count = setting(
        2, about="perturbations per gain, for the inequalities that compare two gains", size=True
    )
    random_tasks: Count = setting(100, about="random sets of tasks in addition to the case's own", size=True)
    sublevel_factor: Real = setting(
        1.0,
        symbol=r"\gamma",
        label="sub-level factor",
        about="of Definition 2: maximum gap of a gain, as a multiple of the gap at K_0",
        at_least=1,
    )


class Requirements(Settings):
    """The target of Theorems 1 and 2."""

    target: Real = setting(
        0.1, symbol=r"\varepsilon_0", about="target accuracy, as a fraction of the gap at K_0", above=0, at_most=1
    )
    failure_probability: Real = setting(
        0.1, symbol=r"\delta", about="failure probability of the theorems", above=0, below=1
    )


class ErrorSweeps(Settings):
    """Values at which the true errors of Algorithms 1 and 2 are measured, one list at a time."""

    repeats: Annotated[int, Field(ge=2, le=MAX_COUNT)] = setting(
        40,
        about="estimates per value; fewer of Algorithm 2 where one takes more steps than at the case's own settings",
        size=True,
    )
    perturbations: Distinct[Count] = setting(
        (25, 50, 100, 200), symbol="M", about="perturbations of both algorithms, swept together"
    )
    smoothing_radius: Distinct[Radius] = setting(
        (0.0125, 0.025, 0.05, 0.1, 0.2), symbol="r", about="Frobenius norm of a perturbation"
    )
    rollout_length: Distinct[Count] = setting((10, 25, 50, 100, 200), symbol=r"\ell", about="steps of a rollout")
    rollout_steps_budget: Real = setting(
        2.0e9,
        label="budget",
        unit="rollout steps",
        about="of each case; the costliest values over it are left out; an exact bias counts as the steps that take as "
        "long",
        at_least=0,
    )


class ExactMethods(Settings):
    """The exact first-order methods from K_0."""

    iterations: Count = setting(300, about="iterations of each exact first-order method", size=True)


class Certificates(Settings):
    """Certificates along the runs at the cases' own settings."""

    every: Count = setting(50, about="iterations from one gain that is certified to the next")


class Theory(Settings):
    """The stage ``theory``."""

    cases: AllOrListed = setting(
        "all",
        about="all cases of the experiments but those with theory: false, or a list of any cases; [] skips the stage",
    )
    seed: Seed = setting(0, about="seed of the random gains, perturbations, tasks and rollouts")
    audit: Audit = setting(Audit(), about="check of every inequality")
    requirements: Requirements = setting(Requirements(), about="requirements of Theorems 1 and 2")
    estimation_error: ErrorSweeps = setting(ErrorSweeps(), about="error of Algorithms 1 and 2")
    exact_methods: ExactMethods = setting(ExactMethods(), about="exact first-order methods")
    certificates: Certificates = setting(Certificates(), about="certificates along the runs")
