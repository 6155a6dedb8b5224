"""Counter-based random numbers: every number of a run has an address, so the order of computing does not matter.

Philox 4x32-10 maps a key (two 32-bit words) and a counter (four) to four random 32-bit words. It is a bijection of the
counter for every key, so two different addresses never share a block. The layout is

==========  =================================================================================
word        contents
==========  =================================================================================
key         ``seed * 256 + purpose``: 56 bits of seed, 8 bits of :class:`Purpose`
counter 0   block of four numbers within one perturbation or one roll-out
counter 1   perturbation of Algorithm 1 (the inner one), else 0
counter 2   ``slot * perturbations + perturbation`` of Algorithm 2 (the outer one), slot = place in the task batch
counter 3   iteration of Algorithm 3
==========  =================================================================================

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC '11.
"""

import enum
import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from metalqr.compiled import compiled, inlined
from metalqr.lanes import (
    LANES,
    bits,
    doubles,
    fma,
    from_bits,
    lane_numbers,
    load,
    sqrt,
    store,
    where_less,
    words,
)

#: Numbers in one block of the generator.
BLOCK = 4

_WORD = 0xFFFFFFFF
_PURPOSE_BITS = 8
_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10

# A double in [2^52, 2^53) holds an integer in its low bits: or-ing a small word into 2^52 converts it, without the
# 64-bit integer conversion that processors before AVX-512 lack.
_TWO_52_BITS = 0x4330000000000000
_TWO_52 = 2.0**52
_SIGN_SHIFT = 63

# Polynomials of the logarithm on [sqrt(1/2), sqrt(2)] and of sine and cosine on [-pi/4, pi/4]: the minimax coefficients
# of FDLIBM (Sun Microsystems, 1993), errors below one unit in the last place.
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_LN2 = math.log(2.0)
_LOG_1, _LOG_2, _LOG_3, _LOG_4, _LOG_5, _LOG_6, _LOG_7 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_SIN_1, _SIN_2, _SIN_3, _SIN_4, _SIN_5, _SIN_6 = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS_1, _COS_2, _COS_3, _COS_4, _COS_5, _COS_6 = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)


class Purpose(enum.IntEnum):
    """What a number is drawn for; part of the key, so that two purposes never share a number."""

    PERTURBATION = 1
    ROLLOUT = 2
    INNER_PERTURBATION = 3
    INNER_ROLLOUT = 4
    TASK_BATCH = 5


@dataclass(frozen=True)
class Stream:
    """An address in the space of random numbers; the same stream gives the same numbers, whatever ran before.

    Parameters
    ----------
    seed : int
        From 0 to 2^56 - 1. Different seeds give independent numbers.
    iteration : int
        Iteration of Algorithm 3, from 0 to 2^31 - 1.

    Raises
    ------
    ValueError
        If the seed or the iteration is out of range.

    Examples
    --------
    >>> Stream(2025).at(3)
    Stream(seed=2025, iteration=3)
    """

    seed: int
    iteration: int = 0

    def __post_init__(self) -> None:
        for name, value, largest in [("seed", self.seed, 2**56 - 1), ("iteration", self.iteration, 2**31 - 1)]:
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= largest:
                raise ValueError(f"{name}: {value!r} is not a whole number from 0 to {largest}")

    def at(self, iteration: int) -> "Stream":
        """The stream of the same seed at another iteration."""
        return replace(self, iteration=iteration)

    def address(self, purpose: Purpose) -> NDArray[np.int64]:
        """Key (two words) and counter 3, as the compiled code wants them."""
        key = (int(self.seed) << _PURPOSE_BITS) | purpose
        return np.array([key & _WORD, key >> 32, self.iteration], dtype=np.int64)


def require_addressable(perturbed_policies: int, numbers: int) -> None:
    """Refuse sizes whose addresses would not fit the 32-bit words of the counter, where streams would collide.

    Parameters
    ----------
    perturbed_policies : int
        Tasks in the batch times perturbations: the range of counter 2.
    numbers : int
        Numbers drawn for one perturbation or one roll-out: four times the range of counter 0.

    Raises
    ------
    ValueError
        If a range is larger than 2^32.
    """
    if perturbed_policies > 2**32:
        raise ValueError(
            f"{perturbed_policies} perturbed policies an iteration are more than 2^32; lower perturbations"
        )
    if numbers > BLOCK * 2**32:
        raise ValueError(f"{numbers} random numbers for one roll-out are more than 2^34; lower rollout_length")


@inlined
def philox(counter_0, counter_1, counter_2, counter_3, key_0, key_1):
    """Philox 4x32-10 in every lane: four words of counter and two scalars of key to four random 32-bit words."""
    low_half = words(_WORD)
    half = words(32)
    for _ in range(_ROUNDS):
        # The masks change nothing; they tell LLVM that a 32-bit multiplication with a 64-bit result will do.
        product_0 = words(_MULTIPLIER_0) * (counter_0 & low_half)
        product_1 = words(_MULTIPLIER_1) * (counter_2 & low_half)
        counter_0 = (product_1 >> half) ^ counter_1 ^ words(key_0)
        counter_1 = product_1 & low_half
        counter_2 = (product_0 >> half) ^ counter_3 ^ words(key_1)
        counter_3 = product_0 & low_half
        key_0 = (key_0 + _WEYL_0) & _WORD
        key_1 = (key_1 + _WEYL_1) & _WORD
    return counter_0, counter_1, counter_2, counter_3


@inlined
def _small_word_to_double(word):
    return from_bits(word | words(_TWO_52_BITS)) - doubles(_TWO_52)


@inlined
def _logarithm(x):
    """The natural logarithm of positive normal doubles."""
    # x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): add to the bits so that the exponent changes at sqrt(1/2).
    shifted = bits(x) + words(_ONE_BITS - _SQRT_HALF_BITS)
    exponent = _small_word_to_double(shifted >> words(52)) - doubles(1023.0)
    f = from_bits((shifted & words(_MANTISSA)) + words(_SQRT_HALF_BITS)) - doubles(1.0)
    s = f / (doubles(2.0) + f)
    z = s * s
    w = z * z
    even = w * fma(w, fma(w, doubles(_LOG_6), doubles(_LOG_4)), doubles(_LOG_2))
    odd = fma(w, fma(w, fma(w, doubles(_LOG_7), doubles(_LOG_5)), doubles(_LOG_3)), doubles(_LOG_1))
    series = fma(z, odd, even)
    half_square = doubles(0.5) * f * f
    return fma(exponent, doubles(_LN2), f - (half_square - s * (half_square + series)))


@inlined
def _six_terms(z, w, c_0, c_1, c_2, c_3, c_4, c_5):
    """The polynomial c_0 + c_1 z + ... + c_5 z^5 with w = z^2, as three short chains instead of a long one."""
    low = fma(z, doubles(c_1), doubles(c_0))
    middle = fma(z, doubles(c_3), doubles(c_2))
    high = fma(z, doubles(c_5), doubles(c_4))
    return fma(w, fma(w, high, middle), low)


@inlined
def _box_muller(word_0, word_1):
    r"""Two standard normals from two 32-bit words: :math:`\sqrt{-2\ln u}\,(\cos\theta, \sin\theta)`.

    :math:`u = (w_0 + \tfrac12) 2^{-32}` and :math:`\theta = 2\pi (w_1 + \tfrac12) 2^{-32} - \pi/4`; the largest normal
    is 6.76, which has a probability of 1.4e-11 to be passed by an exact one.
    """
    uniform = fma(_small_word_to_double(word_0), doubles(2.0**-32), doubles(2.0**-33))
    radius = sqrt(doubles(-2.0) * _logarithm(uniform))

    # The two high bits of word_1 choose the quadrant, the others the angle within it, from -pi/4 to pi/4.
    quadrant = word_1 >> words(30)
    within = _small_word_to_double(word_1 & words(2**30 - 1)) - doubles(2.0**29 - 0.5)
    x = within * doubles(math.pi / 2**31)
    z = x * x
    w = z * z
    sine = _six_terms(z, w, _SIN_1, _SIN_2, _SIN_3, _SIN_4, _SIN_5, _SIN_6)
    sine = fma(x * z, sine, x)
    cosine = _six_terms(z, w, _COS_1, _COS_2, _COS_3, _COS_4, _COS_5, _COS_6)
    cosine = fma(w, cosine, fma(z, doubles(-0.5), doubles(1.0)))

    odd = quadrant & words(1)
    upper = quadrant >> words(1)
    first = where_less(odd, words(1), cosine, sine)
    second = where_less(odd, words(1), sine, cosine)
    first = from_bits(bits(first) ^ ((odd ^ upper) << words(_SIGN_SHIFT)))
    second = from_bits(bits(second) ^ (upper << words(_SIGN_SHIFT)))
    return radius * first, radius * second


@compiled()
def fill_normals(rows, blocks, first_block, counter_1, counter_2, address):
    """Write blocks ``first_block, ...`` of standard normals to the first ``4 * blocks`` rows of an (n, 8) array."""
    # Words first and normals after: the two loops together would need more registers than there are.
    counter_3 = words(address[2])
    for block in range(blocks):
        word_0, word_1, word_2, word_3 = philox(
            words(first_block + block), counter_1, counter_2, counter_3, address[0], address[1]
        )
        store(rows, BLOCK * block, from_bits(word_0))
        store(rows, BLOCK * block + 1, from_bits(word_1))
        store(rows, BLOCK * block + 2, from_bits(word_2))
        store(rows, BLOCK * block + 3, from_bits(word_3))
    for pair in range(2 * blocks):
        normal_0, normal_1 = _box_muller(bits(load(rows, 2 * pair)), bits(load(rows, 2 * pair + 1)))
        store(rows, 2 * pair, normal_0)
        store(rows, 2 * pair + 1, normal_1)


@compiled()
def fill_directions(rows, entries, radius, counter_1, counter_2, address):
    """Write a point of the sphere of this radius, uniformly distributed, to the first rows of an (n, 8) array.

    A normalised vector of independent normals; ``rows`` has room for ``entries`` rounded up to a multiple of 4.
    """
    fill_normals(rows, (entries + BLOCK - 1) // BLOCK, 0, counter_1, counter_2, address)
    square = doubles(0.0)
    for entry in range(entries):
        normal = load(rows, entry)
        square = fma(normal, normal, square)
    scale = doubles(radius) / sqrt(square)
    for entry in range(entries):
        store(rows, entry, load(rows, entry) * scale)


@compiled(parallel=True)
def _perturbations(count, entries, radius, address):
    perturbations = np.empty((count, entries))
    for block in numba.prange((count + LANES - 1) // LANES):
        rows = np.empty((entries + BLOCK, LANES))
        fill_directions(rows, entries, radius, words(0), words(block * LANES) + lane_numbers(), address)
        for lane in range(min(LANES, count - block * LANES)):
            for entry in range(entries):
                perturbations[block * LANES + lane, entry] = rows[entry, lane]
    return perturbations


def perturbations(
    stream: Stream, slots: int, count: int, action_dim: int, state_dim: int, radius: float
) -> NDArray[np.float64]:
    r"""The perturbations :math:`U_m`, uniform on the sphere :math:`\|U\|_F = r`, of Algorithm 2.

    Parameters
    ----------
    stream : Stream
    slots : int
        Tasks in the batch.
    count : int
        :math:`M`, perturbations of each task.
    action_dim, state_dim : int
    radius : float
        :math:`r`.

    Returns
    -------
    ndarray, shape (slots, count, action_dim, state_dim)
    """
    entries = action_dim * state_dim
    require_addressable(slots * count, entries)
    flat = _perturbations(slots * count, entries, radius, stream.address(Purpose.PERTURBATION))
    return flat.reshape(slots, count, action_dim, state_dim)


@compiled()
def _uniforms(count, address):
    uniforms = np.empty((count + LANES - 1) // LANES * LANES)
    rows = uniforms.reshape(-1, LANES)
    for row in range(len(rows)):
        word, _, _, _ = philox(
            words(0), words(0), words(row * LANES) + lane_numbers(), words(address[2]), address[0], address[1]
        )
        store(rows, row, fma(_small_word_to_double(word), doubles(2.0**-32), doubles(2.0**-33)))
    return uniforms[:count]


def task_batch(stream: Stream, distribution: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Draw the batch :math:`T_n` of Algorithm 2: ``size`` task indices from ``distribution``, with replacement."""
    uniforms = _uniforms(size, stream.address(Purpose.TASK_BATCH))
    indices = np.searchsorted(np.cumsum(distribution), uniforms, side="right")
    # The sum of the distribution can round to less than the largest uniform: that belongs to the last possible task.
    return np.minimum(indices, np.flatnonzero(distribution)[-1]).astype(np.int64)
