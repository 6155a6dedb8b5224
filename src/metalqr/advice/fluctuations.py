"""The covariance around the flow in closed form from part to part of a run, and what the noise at each point costs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.lqr import FloatArray

#: Parts of a run with one learning rate each.
_PARTS = 12


class _Part(NamedTuple):
    """Steps with one learning rate at one point of the flow."""

    end: int
    steps: int
    rate: float
    place: int


class Fluctuations:
    r"""The recursion :math:`S \leftarrow (I - \alpha H) S (I - \alpha H) + \alpha^2 C`.

    The curvature H is that of the last point that the flow has passed. Over steps with one learning rate, entry ij of S
    in the eigenbasis of H is multiplied by :math:`d^s`, with :math:`d = (1 - \alpha \lambda_i)(1 - \alpha \lambda_j)`,
    and gathers :math:`\alpha^2 C_{ij} (1 - d^s) / (1 - d)`.

    Parameters
    ----------
    curvatures : sequence of array, shape (n, n)
        At the points of the flow.
    times : array, shape (P,)
        At which it passes them.
    """

    def __init__(self, curvatures: Sequence[FloatArray], times: FloatArray) -> None:
        found = [np.linalg.eigh(each) for each in curvatures]
        self._times = times
        self.values = np.stack([values for values, _ in found])
        self.bases = np.stack([basis for _, basis in found])
        self._turns = self.bases[1:].mT @ self.bases[:-1]

    def weights(self, rates: FloatArray, curvature: FloatArray) -> FloatArray:
        """G (P, n, n) with which the last S has the product Σ <G, C> with a curvature, all in the eigenbases."""
        found = np.zeros_like(self.bases)
        weight = _turned(self.bases[-1], curvature)
        last = len(self.bases) - 1
        for part in reversed(list(self._parts(rates, ()))):
            while last > part.place:
                last -= 1
                weight = _turned(self._turns[last], weight)
            kept, gathered = self._response(part)
            found[last] += gathered * weight
            weight = kept * weight
        return found

    def covariances(self, rates: FloatArray, noise: FloatArray, ends: Sequence[int]) -> Iterator[FloatArray]:
        """S (n, n) after each of some numbers of steps, in rising order, for noises (P, n, n) in the eigenbases."""
        last, S = 0, np.zeros_like(noise[0])
        wanted = set(ends)
        for part in self._parts(rates, ends):
            while last < part.place:
                S = _turned(self._turns[last].T, S)
                last += 1
            kept, gathered = self._response(part)
            S = kept * S + gathered * noise[last]
            if part.end in wanted:
                yield _turned(self.bases[last].T, S)

    def _parts(self, rates: FloatArray, ends: Sequence[int]) -> Iterator[_Part]:
        places: NDArray[np.intp] = np.searchsorted(self._times, np.cumsum(rates) - rates, side="right") - 1
        # Parts of equal progress in the flow, so that an early and short part is as fine as a late one.
        marks = np.union1d(np.geomspace(1, len(rates), _PARTS + 1).round().astype(int), np.array(ends, dtype=int))
        for begin, end in zip([0, *marks[:-1]], marks, strict=True):
            yield _Part(int(end), int(end - begin), float(rates[begin:end].mean()), int(places[end - 1]))

    def _response(self, part: _Part) -> tuple[FloatArray, FloatArray]:
        """What a part keeps of S, and what it gathers of C."""
        factor = 1.0 - part.rate * self.values[part.place]
        power = factor**part.steps
        kept, rest = np.outer(power, power), 1.0 - np.outer(factor, factor)
        is_flat = np.abs(rest) < 1e-12
        gathered = np.where(is_flat, part.steps, (1.0 - kept) / np.where(is_flat, 1.0, rest))
        return kept, part.rate**2 * gathered


def _turned(basis: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(basis.T @ matrix @ basis)
