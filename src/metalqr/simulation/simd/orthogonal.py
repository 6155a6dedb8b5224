"""Random orthonormal directions in compiled code: the first columns of Haar-random orthogonal matrices.

The columns of Q, where N = QR is a matrix of independent normals and R has a positive diagonal, without the work of a
QR decomposition. Householder's reflector H_j maps a vector of normals x_j, zero above entry j, to a multiple of unit
vector j. After the reflectors before it, column j of N is such a vector again, independent of them; so x_j is drawn,
and column j of Q is H_0 ... H_{j-1} x_j / |x_j|. Products of reflectors are orthogonal to rounding, however close to
singular N may be. Every entry of the result is made by sums of a fixed order, in lanes that never mix.

References
----------
G. W. Stewart, "The efficient generation of random orthogonal matrices with an application to condition estimators",
SIAM Journal on Numerical Analysis 17 (1980).
"""

import math

import numba
import numpy as np

from metalqr.simulation.simd.jit import compiled, inlined
from metalqr.simulation.simd.lanes import fma, lanes, load, splat, store, unowned
from metalqr.simulation.simd.normals import work_rows

_LANES = lanes(np.float64)


@inlined
def _prepare(normals, reflectors, lengths, factors):
    """The vector of each reflector H = I + factor v v', and the length of the normals it is made of."""
    count, entries = normals.shape
    for column in range(count):
        sum_0, sum_1 = 0.0, 0.0
        for entry in range(column, entries - 1, 2):
            sum_0 += normals[column, entry] * normals[column, entry]
            sum_1 += normals[column, entry + 1] * normals[column, entry + 1]
        if (entries - column) % 2:
            sum_0 += normals[column, entries - 1] * normals[column, entries - 1]
        for entry in range(column, entries):
            reflectors[column, entry] = normals[column, entry]
        length, pivot = math.sqrt(sum_0 + sum_1), normals[column, column]
        reflectors[column, column] = pivot + math.copysign(length, pivot)
        lengths[column], factors[column] = length, -1.0 / (length * (length + abs(pivot)))


@inlined
def _begin(columns, group, lane, normals, length, first):
    """Write a column before its reflections: zero above entry ``first``."""
    for entry in range(first, len(normals)):
        columns[group + entry, lane] = normals[entry] / length


@inlined
def _reflect(columns, group, reflector, factor, first):
    """Apply a reflector, zero above entry ``first``, to a vector of columns."""
    # Four sums, since each addition waits for the one before.
    entries = len(reflector)
    whole = entries - (entries - first) % 4
    sum_0, sum_1, sum_2, sum_3 = splat(columns, 0.0), splat(columns, 0.0), splat(columns, 0.0), splat(columns, 0.0)
    for entry in range(first, whole, 4):
        sum_0 = fma(load(columns, group + entry), reflector[entry], sum_0)
        sum_1 = fma(load(columns, group + entry + 1), reflector[entry + 1], sum_1)
        sum_2 = fma(load(columns, group + entry + 2), reflector[entry + 2], sum_2)
        sum_3 = fma(load(columns, group + entry + 3), reflector[entry + 3], sum_3)
    for entry in range(whole, entries):
        sum_0 = fma(load(columns, group + entry), reflector[entry], sum_0)
    multiple = ((sum_0 + sum_1) + (sum_2 + sum_3)) * factor
    for entry in range(first, entries):
        store(columns, group + entry, fma(multiple, reflector[entry], load(columns, group + entry)))


@inlined
def _fill_block(normals, radius, columns, reflectors, lengths, factors, directions):
    """Orthogonal directions of length ``radius``, as many as normals (count, n), at most n."""
    columns, reflectors, lengths, factors = unowned((columns, reflectors, lengths, factors))
    count, entries = normals.shape
    groups = (count + _LANES - 1) // _LANES
    for row in range(groups * entries):
        store(columns, row, splat(columns, 0.0))
    _prepare(normals, reflectors, lengths, factors)
    for column in range(count - 1, -1, -1):
        # Columns that have not begun are zero, which every reflector leaves as it is.
        _begin(columns, column // _LANES * entries, column % _LANES, normals[column], lengths[column], column)
        if column > 0:
            for group in range(column // _LANES, groups):
                _reflect(columns, group * entries, reflectors[column - 1], factors[column - 1], column - 1)
    for column in range(count):
        for entry in range(entries):
            directions[column, entry] = radius * columns[column // _LANES * entries + entry, column % _LANES]


@compiled(parallel=True)
def orthogonal_blocks(normals, radius):
    """Directions of length ``radius`` from normals (P, M, n): orthogonal blocks of n, the last one of the rest."""
    policies, count, entries = normals.shape
    most = min(count, entries)
    directions = np.empty(normals.shape)
    for policy in numba.prange(policies):
        columns = work_rows((most + _LANES - 1) // _LANES * entries, normals)
        reflectors, lengths, factors = np.empty((most, entries)), np.empty(most), np.empty(most)
        for first in range(0, count, entries):
            end = min(first + entries, count)
            block, result = normals[policy, first:end], directions[policy, first:end]
            _fill_block(block, radius, columns, reflectors, lengths, factors, result)
    return directions
