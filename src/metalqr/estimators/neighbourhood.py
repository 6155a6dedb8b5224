r"""The costs around a gain, from which estimators state their covariance.

A statement such as ``near.terms(near.cost(), near.variance())`` is read in two ways.
:class:`~metalqr.estimators.expansion.Expansion` takes the costs by their derivatives at the gain, for small radii;
:class:`~metalqr.estimators.cubature.Cubature` takes them exactly at perturbed gains, of any radius, and averages over
the perturbations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks

#: Values that depend on the perturbation, one for each task: to be added, subtracted, multiplied and squared.
Values: TypeAlias = Any
#: Numbers that the recursions of a rollout keep at once.
_MAX_BATCH = 4_000_000


@dataclass(frozen=True)
class DirectionLaw:
    r"""The distribution of the perturbations of an estimate: each has a uniform direction and a length of its own.

    Attributes
    ----------
    lengths, weights : array, shape (L,)
        Nodes and weights of a quadrature rule for even functions of the length, whose mean square is :math:`r^2`.
    block : int
        Perturbations that are drawn orthogonal to each other; different blocks are independent.
    """

    lengths: FloatArray
    weights: FloatArray
    block: int = 1

    @property
    def kurtosis(self) -> float:
        r""":math:`E \|U\|^4 / r^4`, at least 1."""
        mean_square = float(self.weights @ self.lengths**2)
        return float(self.weights @ self.lengths**4) / mean_square**2


class Around(NamedTuple):
    """The gains (I, k, d), one for each task, and the perturbations and rollouts of an estimate around them."""

    tasks: LQRTasks
    gains: FloatArray
    length: int  # steps of a rollout
    perturbations: int
    radius: float
    law: DirectionLaw


class Neighbourhood(ABC):
    r"""The costs of rollouts around a gain, for the covariance of one estimate from M perturbations.

    Attributes
    ----------
    before : Neighbourhood
        That of the iteration before, for estimators with a memory.
    """

    before: "Neighbourhood"

    def __init__(self, around: Around) -> None:
        self._point = around.tasks, around.gains, around.length
        self._count, self._radius, self._law = around.perturbations, around.radius, around.law
        self._size = around.gains[0].size
        self.before = self

    @abstractmethod
    def cost(self, sign: int = 1) -> Values:
        """Expected cost of a rollout at K + U, or with the sign -1 at K - U."""

    @abstractmethod
    def variance(self, sign: int = 1) -> Values:
        """Variance of the cost of a rollout at K + U, or with the sign -1 at K - U."""

    @abstractmethod
    def difference_variance(self) -> Values:
        """Variance of the difference of the costs at K + U and K - U under the same noise."""

    @abstractmethod
    def mean(self, values: Values) -> FloatArray:
        """Mean of some values over the perturbation, shape (I,)."""

    def terms(self, mean: Values, variance: Values) -> FloatArray:
        r"""Covariance of :math:`\frac1M \sum_m \frac{dk}{r^2} c_m U_m`, shape (I, dk, dk).

        The mean and the variance are those of a coefficient at its given perturbation; given all perturbations, the
        coefficients are independent. With n = dk, :math:`\bar g = \frac{n}{r^2} E[c U]`,

        .. math:: \frac1M \left( \frac{n^2}{r^4} E[c^2 U U^\top] - \bar g \bar g^\top \right)
                  + \frac{N}{M^2} \left( \frac{n^2}{r^4} E[c_1 c_2 U_1 U_2^\top] - \bar g \bar g^\top \right)

        for N ordered pairs of perturbations in one orthogonal block, :math:`U_1` and :math:`U_2` such a pair.
        """
        count, pairs = self._count, self._sum_over_blocks(lambda size: size * (size - 1))
        square = outer(self._slope(mean))
        total = (self._moment(mean**2 + variance) - square) / count
        return total + pairs / count**2 * (self._pair_moment(mean) - square) if pairs else total

    def leave_one_out(self, mean: Values, variance: Values) -> FloatArray:
        r"""As :meth:`terms`, with the mean of the other M - 1 coefficients subtracted from each; M >= 2.

        The estimate is :math:`\frac{n}{r^2}` times the sample covariance of coefficients and perturbations. To the
        terms of the coefficients less their mean :math:`\mu` it adds, for independent perturbations,

        .. math:: \frac{1}{M (M - 1)} \left( \frac{n}{r^2} E[(c - \mu)^2] I + \bar g \bar g^\top \right) .
        """
        mean = mean - self.mean(mean)
        count, size, scale = self._count, self._size, self._size / self._radius**2
        second, square = mean**2 + variance, outer(self._slope(mean))
        all_pairs = count * (count - 1)
        # c_1² U_2 U_2' and c_1 c_2 U_2 U_1', in independent pairs, then in those of a block.
        added = scale * identity(self.mean(second), size) + square
        pairs = self._sum_over_blocks(lambda block: block * (block - 1))
        if pairs:
            others = (size * scale * identity(self.mean(second), size) - self._moment(second)) / (size - 1)
            in_block = others + self._pair_moment(mean)
            added = added + pairs / all_pairs * (in_block - added)
            added = added + self._even_pairs(mean, all_pairs)
        return self.terms(mean, variance) + added / all_pairs

    def _even_pairs(self, mean: Values, all_pairs: int) -> FloatArray:
        """What pairs of a block add by the even parts of their coefficients, which depend on each other."""
        count, size, scale = self._count, self._size, self._size / self._radius**2
        product, with_own = self._even_pair_moments(mean)
        unit_product = identity(product, size)
        # With the U U' of one of the two, of a third of the block, and of one of another block.
        total = -2 * (count - 1) * self._sum_over_blocks(lambda block: block * (block - 1)) * with_own
        thirds = self._sum_over_blocks(lambda block: block * (block - 1) * (block - 2))
        if thirds:
            total = total + thirds / (size - 2) * (size * scale * unit_product - 2 * with_own)
        outside = self._sum_over_blocks(lambda block: block * (block - 1) * (count - block))
        return (total + outside * scale * unit_product) / all_pairs

    def _sum_over_blocks(self, function: Callable[[int], int]) -> int:
        whole, rest = divmod(self._count, self._law.block)
        return whole * function(self._law.block) + function(rest)

    @abstractmethod
    def _slope(self, values: Values) -> FloatArray:
        """(n/r²) E[values U], shape (I, n)."""

    @abstractmethod
    def _moment(self, values: Values) -> FloatArray:
        """(n/r²)² E[values U Uᵀ], shape (I, n, n)."""

    @abstractmethod
    def _pair_moment(self, values: Values) -> FloatArray:
        """(n/r²)² E[values_1 values_2 U_1 U_2ᵀ] for two perturbations of a block, shape (I, n, n)."""

    @abstractmethod
    def _even_pair_moments(self, values: Values) -> tuple[FloatArray, FloatArray]:
        """E[e_1 e_2], (I,), and (n/r²)² E[e_1 e_2 U_1 U_1ᵀ] for the even parts e of values in a block."""


def outer(vectors: FloatArray) -> FloatArray:
    """The outer product of each vector with itself, shape (I, n, n)."""
    return vectors[:, :, np.newaxis] * vectors[:, np.newaxis]


def identity(numbers: FloatArray, size: int) -> FloatArray:
    """A multiple of the identity for each number, shape (I, n, n)."""
    return numbers[:, np.newaxis, np.newaxis] * np.eye(size)


def gains_at_once(tasks: LQRTasks, length: int) -> int:
    """Number of gains for all tasks at which exact quantities of rollouts are computed together."""
    return max(1, _MAX_BATCH // (tasks.count * tasks.state_dim**2 * (length + 10)))
