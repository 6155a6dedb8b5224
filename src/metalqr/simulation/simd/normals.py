"""Normal random numbers in compiled code: Philox 4x32-10, Box-Muller, and points of a sphere.

:mod:`metalqr.simulation.streams` defines the counters. Counters 1 and 2 belong to a lane, and counters 0 and 3
are the same in all lanes; so most of the first two rounds is done once for a rollout, and not for each of its blocks.

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC '11.
"""

import math

import numba
import numpy as np
from numba.extending import overload

from metalqr.simulation.simd.jit import inlined
from metalqr.simulation.simd.lanes import (
    VECTOR,
    bits,
    broadcast_element,
    fma,
    from_bits,
    interleaved,
    load,
    signed_to_float,
    splat,
    sqrt,
    store,
    unsigned_to_float,
    word_pairs,
    words,
)

#: Numbers in one block of the generator.
BLOCK = 4
ROUNDS = 10

MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
LOW_HALF = 0xFFFFFFFF

# A double in [2^52, 2^53) holds an integer in its low bits: putting a word of less than 52 bits there converts it,
# without the 64-bit integer conversion that processors before AVX-512 lack.
_TWO_52_BITS = 0x4330000000000000
_TWO_52 = 2.0**52

# The logarithm of x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)) is k ln 2 + s (2 + z P(z)), s = f / (2 + f) and
# z = s^2. These polynomials, and those of sine and cosine on [-pi/4, pi/4], are the minimax ones of FDLIBM (Sun
# Microsystems, 1993, also its single-precision functions); their errors are below one unit in the last place.
_LN2 = math.log(2.0)
_SQRT_HALF_BITS, _ONE_BITS, _MANTISSA = 0x3FE6A09E667F3BCD, 0x3FF0000000000000, 0x000FFFFFFFFFFFFF
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
_SQRT_HALF_BITS_SINGLE, _ONE_BITS_SINGLE, _MANTISSA_SINGLE = 0x3F3504F3, 0x3F800000, 0x007FFFFF
_LOG_SINGLE_1, _LOG_SINGLE_2, _LOG_SINGLE_3, _LOG_SINGLE_4 = (
    6.6666662693e-01,
    4.0000972152e-01,
    2.8498786688e-01,
    2.4279078841e-01,
)
_SIN_SINGLE_1, _SIN_SINGLE_2, _SIN_SINGLE_3 = -1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4
_COS_SINGLE_1, _COS_SINGLE_2, _COS_SINGLE_3 = 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5


@inlined
def lane_count(like):
    """Number of lanes of a vector with the element type of an array."""
    return VECTOR // like.itemsize


@inlined
def work_rows(rows, like):
    """An array of vectors for work, of the element type of ``like``, that starts with a line of the cache."""
    columns = lane_count(like)
    buffer = np.empty((rows + 1) * columns, like.dtype)
    first = (-buffer.ctypes.data % VECTOR) // like.itemsize
    return buffer[first : first + rows * columns].reshape((rows, columns))


@inlined
def cut(rows, count):
    """The first rows, and the others: parts of one piece of memory, since many small ones take as long as a rollout."""
    return rows[:count], rows[count:]


@inlined
def philox_start(counter_1, counter_2, address):
    """The part of the first two rounds of Philox that depends on counters 1 and 2, for :func:`philox`."""
    # The masks tell LLVM that a 32-bit multiplication suffices. The high halves of the words are not cleared.
    product_1 = (counter_2 & LOW_HALF) * MULTIPLIER_1
    counter_0 = (product_1 >> 32) ^ counter_1 ^ broadcast_element(address, 1)
    product_0 = (counter_0 & LOW_HALF) * MULTIPLIER_0
    return product_1 ^ broadcast_element(address, 3), (product_0 >> 32) ^ broadcast_element(address, 4), product_0


@inlined
def philox(start, counter_0, address):
    """Philox 4x32-10: four vectors of random words, in the low halves of 64 bits."""
    # The scalar part of the first two rounds.
    product_0 = counter_0 * MULTIPLIER_0
    product_1 = (((product_0 >> 32) ^ address[0] ^ address[2]) & LOW_HALF) * MULTIPLIER_1
    word_0 = start[0] ^ (product_1 >> 32)
    word_1 = words(product_1)
    word_2 = start[1] ^ (product_0 & LOW_HALF)
    word_3 = start[2]
    for round_ in range(2, ROUNDS):
        first = (word_0 & LOW_HALF) * MULTIPLIER_0
        second = (word_2 & LOW_HALF) * MULTIPLIER_1
        word_0 = (second >> 32) ^ word_1 ^ broadcast_element(address, 2 * round_ + 1)
        word_1 = second
        word_2 = (first >> 32) ^ word_3 ^ broadcast_element(address, 2 * round_ + 2)
        word_3 = first
    return word_0, word_1, word_2, word_3


@inlined
def uniform(word):
    """(w + 1/2) / 2^32 of the low halves, exactly: uniform on (0, 1)."""
    return fma(from_bits((word & LOW_HALF) | _TWO_52_BITS), 2.0**-32, 2.0**-33 - 2.0**20)


@inlined
def _radius_square_double(rows, word):
    # u = 2^exponent (1 + f): add to the bits so that the exponent changes at sqrt(1/2).
    shifted = bits(uniform(word)) + (_ONE_BITS - _SQRT_HALF_BITS)
    exponent = from_bits((shifted >> 52) | _TWO_52_BITS) - (_TWO_52 + 1023.0)
    fraction = from_bits((shifted & _MANTISSA) + _SQRT_HALF_BITS)
    s = (fraction - 1.0) / (-1.0 - fraction)
    z = s * s
    w = z * z
    odd = fma(w, fma(w, fma(w, _LOG_7, _LOG_5), _LOG_3), _LOG_1)
    even = fma(w, fma(w, _LOG_6, _LOG_4), _LOG_2)
    return fma(exponent, -_LN2, s * fma(z, fma(z, even, odd), 2.0))


@inlined
def _box_muller_double(rows, radius, word):
    whole = from_bits((word & (2**30 - 1)) | _TWO_52_BITS) - (_TWO_52 + 2.0**29)
    x = fma(whole, math.pi / 2**31, math.pi / 2**32)
    z = x * x
    w = z * z
    sine = fma(w, fma(w, fma(z, _SIN_6, _SIN_5), fma(z, _SIN_4, _SIN_3)), fma(z, _SIN_2, _SIN_1))
    cosine = fma(w, fma(w, fma(z, _COS_6, _COS_5), fma(z, _COS_4, _COS_3)), fma(z, _COS_2, _COS_1))
    sine = fma(x * z, sine, x)
    cosine = fma(w, cosine, fma(z, -0.5, 1.0))
    first = from_bits(bits(cosine - sine) ^ ((word << 32) & (1 << 63)))
    second = from_bits(bits(cosine + sine) ^ ((word << 33) & (1 << 63)))
    return radius * first, radius * second


@inlined
def _radius_square_single(rows, word):
    # The largest words would round to 2^32 and u to 1, which makes a pair of zeros: so u is at most 1 - 2^-24.
    below = word - (word >> 24)
    shifted = bits(fma(unsigned_to_float(below), 2.0**-32, 2.0**-33)) + (_ONE_BITS_SINGLE - _SQRT_HALF_BITS_SINGLE)
    exponent = signed_to_float((shifted >> 23) - 127)
    fraction = from_bits((shifted & _MANTISSA_SINGLE) + _SQRT_HALF_BITS_SINGLE)
    s = (fraction - 1.0) / (-1.0 - fraction)
    z = s * s
    series = fma(z, fma(z, fma(z, _LOG_SINGLE_4, _LOG_SINGLE_3), _LOG_SINGLE_2), _LOG_SINGLE_1)
    return fma(exponent, -_LN2, s * fma(z, series, 2.0))


@inlined
def _box_muller_single(rows, radius, word):
    x = fma(signed_to_float((word & (2**30 - 1)) - 2**29), math.pi / 2**31, math.pi / 2**32)
    z = x * x
    sine = fma(z, fma(z, _SIN_SINGLE_3, _SIN_SINGLE_2), _SIN_SINGLE_1)
    cosine = fma(z, fma(z, _COS_SINGLE_3, _COS_SINGLE_2), _COS_SINGLE_1)
    sine = fma(x * z, sine, x)
    cosine = fma(z * z, cosine, fma(z, -0.5, 1.0))
    first = from_bits(bits(cosine - sine) ^ (word & (1 << 31)))
    second = from_bits(bits(cosine + sine) ^ ((word << 1) & (1 << 31)))
    return radius * first, radius * second


def _by_precision(double, single):
    """One of two compiled functions, by whether the numbers of the first argument have 64 bits."""

    def chosen(*arguments):
        pass

    @overload(chosen, jit_options={"forceinline": True}, strict=False)
    def _choose(*arguments):
        return (double if arguments[0].dtype.bitwidth == 64 else single).py_func

    return chosen


@inlined
def _counter_rows_double(like):
    return work_rows(2, like).view(np.int64)


@inlined
def _counter_rows_single(like):
    return work_rows(2, like).view(np.int32)


@inlined
def _rollout_start_double(counters, address):
    return philox_start(load(counters, 0), load(counters, 1), address)


@inlined
def _rollout_start_single(counters, address):
    # Two 32-bit lanes in each 64-bit word: the even ones in the low halves.
    pairs_1, pairs_2 = word_pairs(load(counters, 0)), word_pairs(load(counters, 1))
    return philox_start(pairs_1, pairs_2, address) + philox_start(pairs_1 >> 32, pairs_2 >> 32, address)


@inlined
def _store_words_double(rows, row, start, counter_0, address):
    word_0, word_1, word_2, word_3 = philox(start, counter_0, address)
    store(rows, row, from_bits(word_0))
    store(rows, row + 1, from_bits(word_1))
    store(rows, row + 2, from_bits(word_2))
    store(rows, row + 3, from_bits(word_3))


@inlined
def _store_words_single(rows, row, start, counter_0, address):
    even_0, even_1, even_2, even_3 = philox(start[:3], counter_0, address)
    odd_0, odd_1, odd_2, odd_3 = philox(start[3:], counter_0, address)
    store(rows, row, from_bits(interleaved(even_0, odd_0)))
    store(rows, row + 1, from_bits(interleaved(even_1, odd_1)))
    store(rows, row + 2, from_bits(interleaved(even_2, odd_2)))
    store(rows, row + 3, from_bits(interleaved(even_3, odd_3)))


#: Two rows of words as long as the numbers of ``like``: counters 1 and 2 of every lane.
counter_rows = _by_precision(_counter_rows_double, _counter_rows_single)
#: The start of the random numbers of a vector of rollouts, from :func:`counter_rows`.
rollout_start = _by_precision(_rollout_start_double, _rollout_start_single)
# The four random words of a block, written to four rows.
_store_words = _by_precision(_store_words_double, _store_words_single)
# Half the square of the radius of two normals, -ln u with u = (w + 1/2) / 2^32. In single precision u is rounded, and
# at most 1 - 2^-24.
_radius_square = _by_precision(_radius_square_double, _radius_square_single)
# Two standard normals, sqrt(2) radius (+-cos t, +-sin t). The low 30 bits of the word are the angle t between 0 and
# pi/2, its two high bits the signs. With x = t - pi/4, sqrt(2) cos t = cos x - sin x and sqrt(2) sin t = cos x + sin x.
_box_muller = _by_precision(_box_muller_double, _box_muller_single)


@numba.njit
def fill_normals(rows, blocks, first_block, start, address):
    """Write blocks ``first_block, ...`` of standard normals to the first ``4 * blocks`` rows.

    Magnitudes are at most 6.76; an exact normal exceeds that with probability 1.4e-11.
    """
    # Three short loops: each leaves the processor enough registers, and enough independent work to hide its latencies.
    for block in range(blocks):
        _store_words(rows, BLOCK * block, start, first_block + block, address)
    for pair in range(2 * blocks):
        store(rows, 2 * pair, _radius_square(rows, bits(load(rows, 2 * pair))))
    for pair in range(2 * blocks):
        normal_0, normal_1 = _box_muller(rows, sqrt(load(rows, 2 * pair)), bits(load(rows, 2 * pair + 1)))
        store(rows, 2 * pair, normal_0)
        store(rows, 2 * pair + 1, normal_1)


@inlined
def fill_perturbations(rows, entries, scale, start, address):
    """Write ``scale`` times a direction, uniformly distributed on the unit sphere, to the first rows.

    A normalised vector of independent normals; ``rows`` has room for ``entries`` rounded up to a multiple of 4.
    """
    fill_normals(rows, (entries + BLOCK - 1) // BLOCK, 0, start, address)
    # In single precision a normal may be 0, rarely, and then a direction of one entry is 0 rather than not a number.
    square = splat(rows, 2.0**-126)
    for entry in range(entries):
        normal = load(rows, entry)
        square = fma(normal, normal, square)
    factor = scale / sqrt(square)
    for entry in range(entries):
        store(rows, entry, load(rows, entry) * factor)
