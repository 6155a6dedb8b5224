r"""Sample sizes, rollout lengths and smoothing radii: Lemmas 6, 7 and 14 in both forms.

The functions take the constants over a sub-level set (:func:`metalqr.theory.sublevel_constants`), for the corrected
form those of the *widened* set, with twice the levels of S: the perturbed gains of the algorithms are not in S. They
return the least number, the least length or the largest radius, as real numbers: they are far too large to round.
"""

from metalqr.common.validation import positive
from metalqr.theory import corrected, printed
from metalqr.theory.result import Form, Quantities, Quantity, quantity

HORIZONS = {Form.PRINTED: printed.HORIZONS, Form.CORRECTED: corrected.HORIZONS}
LEMMA_6 = {Form.PRINTED: printed.LEMMA_6, Form.CORRECTED: corrected.LEMMA_6}
LEMMA_7 = {Form.PRINTED: printed.LEMMA_7, Form.CORRECTED: corrected.LEMMA_7}
#: Relative excess of an adaptation rate over its limit that counts as rounding.
RATE_ROUNDING = 1e-9


def whole_batch(count: int | None) -> tuple[Quantity, ...]:
    """Return what is known of the task batch where all tasks count; nothing where it is drawn, without a number."""
    if count is None:
        return ()
    return (
        quantity("task_batch", "I", "the tasks", count),
        quantity("batch_share", r"\epsilon_{\mathcal T}/\epsilon", "Lemma 7", 0.0),
    )


def horizons(constants: Quantities) -> Quantities:
    r"""Rollout lengths of Lemma 14 for the error 1, also at single gains: divide them by the error.

    Added to the constants are ``cost_horizon``, for :math:`|J^{(\ell)} - J| \le \epsilon`, ``covariance_horizon``, for
    :math:`\|\Sigma_K^{(\ell)} - \Sigma_K\| \le \epsilon`, and, corrected, ``rollout_gain``, the :math:`g` of
    :func:`metalqr.theory.noise_horizon`.
    """
    return HORIZONS[constants.form].evaluate(constants.values())


def gradient_estimation(constants: Quantities, error: float, failure_probability: float) -> Quantities:
    r"""Radius, number of perturbations and rollout length of Lemma 6.

    With ``h_r_1``, ``h_M_1`` and ``h_l_1`` Algorithm 1 has :math:`\|\tilde\nabla J_i(K) - \nabla J_i(K)\|_F \le
    \epsilon`, the error, with probability :math:`1 - 2\delta`, :math:`\delta` the failure probability.
    """
    given = (
        quantity("epsilon", r"\epsilon", "Lemma 6", positive("error", error)),
        quantity("delta", r"\delta", "Lemma 6", failure_probability),
    )
    return LEMMA_6[constants.form].evaluate([*constants.values(), *given])


def meta_gradient_estimation(
    constants: Quantities, error: float, failure_probability: float, *, every_task: int | None = None
) -> Quantities:
    r"""Task batch, radius, number of perturbations and rollout length of Lemma 7.

    With ``task_batch``, ``smoothing_radius``, ``perturbations`` and ``rollout_length``, named as in the config,
    Algorithm 2 has :math:`\|\tilde\nabla\mathcal L(K) - \nabla\mathcal L(K)\|_F \le \epsilon`, the error, with
    probability :math:`1 - \delta`, :math:`\delta` the failure probability. The constants must be those at the
    adaptation rate. With ``every_task``, the number of the tasks, none is drawn and each counts with its probability;
    then, corrected, no part of the error and of the probability is set aside for a batch.

    Raises
    ------
    ValueError
        If, for the corrected form, the adaptation rate is above :math:`1/(4\bar h_H)`: an adapted gain might leave the
        set over which the constants hold.
    """
    if constants.form is Form.CORRECTED and constants.eta * constants.h_H > 0.25 * (1 + RATE_ROUNDING):
        raise ValueError(
            f"the adaptation rate {float(constants.eta):.3g} is above 1/(4 h_H) = "
            f"{0.25 / float(constants.h_H):.3g}, where Lemma 7 is proved; lower it"
        )
    given = (
        *(whole_batch(every_task) if constants.form is Form.CORRECTED else ()),
        quantity("epsilon_meta", r"\epsilon", "Lemma 7", positive("error", error)),
        quantity("delta_meta", r"\delta", "Lemma 7", failure_probability),
    )
    return LEMMA_7[constants.form].evaluate([*constants.values(), *given])
