"""Vectors of lanes for compiled code: the numbers of the rollouts.

Numba compiles scalar code and leaves it to LLVM to find the vectors in it, which fails for the loops that matter here:
a small matrix product keeps its sums in registers only if the sums are *variables* and not array elements. So this
module gives Numba vector types with the usual operators. A lane is a rollout.

===============  ==============================================================
:data:`DOUBLES`  16 doubles (8 without AVX-512), for ``precision: float64``
:data:`WORDS`    as many 64-bit words
:data:`FLOATS`   32 single-precision floats (or 16), for ``precision: float32``
:data:`SHORTS`   as many 32-bit words
===============  ==============================================================

LLVM maps a vector to registers of the processor: two of AVX-512 or AVX2, four of NEON. So each number that the lanes
share is loaded once for two instructions, and each instruction has an independent neighbour while it waits for the one
before. A lane's numbers do not depend on that choice, because lanes never mix and every rounding is explicit:
``fma`` rounds once, ``a * b + c`` twice, on every processor. In an operation one of the operands may be a scalar: it is
put in every lane.

Only compiled code (``numba.njit``) can use what is defined here.
"""

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import DTypeLike

#: True with 32 registers of 64 bytes. Numba can be configured not to use them, which is correct but slow.
AVX512 = bool(binding.get_host_cpu_features().get("avx512f", False))

#: Bytes of a vector.
VECTOR = 128 if AVX512 else 64


class LanesType(types.Type):
    """Numba type of a vector; ``scalar`` is the type of one lane, ``suffix`` the name of the vector in LLVM."""

    def __init__(self, name: str, scalar: Any, element: ir.Type, prefix: str) -> None:
        self.scalar, self.count = scalar, VECTOR * 8 // scalar.bitwidth
        self.suffix = f"v{self.count}{prefix}{scalar.bitwidth}"
        self.ir = ir.VectorType(element, self.count)
        super().__init__(name=name)

    @property
    def key(self) -> str:
        """The name, by which Numba compares types."""
        return self.name


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes_type: LanesType) -> None:
        super().__init__(manager, lanes_type, lanes_type.ir)


DOUBLES = LanesType("doubles", types.float64, ir.DoubleType(), "f")
WORDS = LanesType("words", types.int64, ir.IntType(64), "i")
FLOATS = LanesType("floats", types.float32, ir.FloatType(), "f")
SHORTS = LanesType("shorts", types.int32, ir.IntType(32), "i")

_VECTOR_OF = {lanes_type.scalar: lanes_type for lanes_type in (DOUBLES, FLOATS, WORDS, SHORTS)}
#: The words as long as the numbers.
_BITS_OF = {DOUBLES: WORDS, FLOATS: SHORTS}


def lanes(dtype: DTypeLike) -> int:
    """Number of lanes of a vector of this type."""
    return VECTOR // np.dtype(dtype).itemsize


def _broadcast(context: Any, builder: Any, value: Any, scalar_type: Any, lanes_type: LanesType) -> Any:
    """A scalar in every lane."""
    scalar = context.cast(builder, value, scalar_type, lanes_type.scalar)
    undefined = ir.Constant(lanes_type.ir, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes_type.count), [0] * lanes_type.count)
    return builder.shuffle_vector(first, undefined, mask)


def _as_vectors(context: Any, builder: Any, values: Any, value_types: Any, lanes_type: LanesType) -> list[Any]:
    """Vectors as they are, and scalars in every lane."""
    return [
        value if given == lanes_type else _broadcast(context, builder, value, given, lanes_type)
        for value, given in zip(values, value_types, strict=True)
    ]


def _define_operator(function: Callable[..., Any], lanes_type: LanesType, instruction: str) -> None:
    """Teach Numba one binary operator between two vectors, or a vector and a scalar: one LLVM instruction."""
    scalar = types.float64 if lanes_type in _BITS_OF else types.int64
    arguments = [(lanes_type, lanes_type), (lanes_type, scalar), (scalar, lanes_type)]

    @infer_global(function)
    class _Template(ConcreteTemplate):
        cases: ClassVar = [signature(lanes_type, *pair) for pair in arguments]

    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*_as_vectors(context, builder, args, sig.args, lanes_type))

    for pair in arguments:
        lower_builtin(function, *pair)(_lower)


for _names, _types in [
    ({"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}, (DOUBLES, FLOATS)),
    (
        {"and_": "and_", "or_": "or_", "xor": "xor", "lshift": "shl", "rshift": "lshr"}
        | {name: name for name in ("add", "sub", "mul")},
        (WORDS, SHORTS),
    ),
]:
    for (_name, _instruction), _lanes_type in itertools.product(_names.items(), _types):
        _define_operator(getattr(operator, _name), _lanes_type, _instruction)


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any, lanes_type: LanesType) -> Any:
    index = builder.mul(row, ir.Constant(row.type, lanes_type.count))
    pointer = _element_pointer(context, builder, array_type, array, index)
    return builder.bitcast(pointer, lanes_type.ir.as_pointer())


@intrinsic
def unowned(typing: Any, value: Any) -> Any:
    """The same arrays without an owner, alone or in (nested) tuples with other values.

    Numba counts the references to an array in every function that it inlines, with atomic instructions for which the
    processor waits until all stores are done. In the loop over the steps that took as long as the arithmetic. Without
    an owner there is nothing to count, and nothing that keeps the memory: use it only on arguments of a function, whose
    caller has the originals until it returns, and never return or store the result.
    """

    def without_owner(context: Any, builder: Any, given: Any, data: Any) -> Any:
        if isinstance(given, types.BaseTuple):
            parts = zip(given, cgutils.unpack_tuple(builder, data), strict=True)
            return context.make_tuple(builder, given, [without_owner(context, builder, *part) for part in parts])
        if not isinstance(given, types.Array):
            return data
        view = context.make_array(given)(context, builder, data)
        view.meminfo = ir.Constant(view.meminfo.type, None)
        view.parent = ir.Constant(view.parent.type, None)
        return view._getvalue()

    return value(value), lambda context, builder, sig, args: without_owner(context, builder, value, args[0])


@intrinsic
def splat(typing: Any, array: Any, scalar: Any) -> Any:
    """Broadcast a scalar to a vector with the array's element type."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _broadcast(context, builder, args[1], sig.args[1], lanes_type)

    return lanes_type(array, scalar), generate


@intrinsic
def words(typing: Any, scalar: Any) -> Any:
    """An integer in every lane of :data:`WORDS`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _broadcast(context, builder, args[0], types.int64, WORDS)

    return WORDS(types.int64), generate


@intrinsic
def lane_numbers(typing: Any) -> Any:
    """The words 0, 1, 2, ..."""
    return WORDS(), lambda context, builder, sig, args: ir.Constant(WORDS.ir, list(range(WORDS.count)))


@intrinsic
def broadcast_element(typing: Any, array: Any, index: Any) -> Any:
    """``array.flat[index]`` in every lane, for a C-contiguous array of numbers or words; the index is not checked."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, sig.args[0], args[0], args[1])
        return _broadcast(context, builder, builder.load(pointer), lanes_type.scalar, lanes_type)

    return lanes_type(array, types.intp), generate


@intrinsic
def load(typing: Any, array: Any, row: Any) -> Any:
    """Row ``row`` of a C-contiguous array whose last dimension is the lanes; the row is not checked."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _row_pointer(context, builder, sig.args[0], args[0], args[1], lanes_type)
        return builder.load(pointer, align=lanes_type.scalar.bitwidth // 8)

    return lanes_type(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, row: Any, value: Any) -> Any:
    """Write a vector to row ``row`` of a C-contiguous array whose last dimension is the lanes."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _row_pointer(context, builder, sig.args[0], args[0], args[1], lanes_type)
        builder.store(args[2], pointer, align=lanes_type.scalar.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), generate


def _call_llvm(builder: Any, name: str, lanes_type: LanesType, args: Any) -> Any:
    """Call an LLVM intrinsic from vectors to a vector of the same type, lane by lane."""
    function_type = ir.FunctionType(lanes_type.ir, [lanes_type.ir] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"{name}.{lanes_type.suffix}")
    return builder.call(function, args)


@intrinsic
def load_rows(typing: Any, array: Any, row: Any, like: Any) -> Any:
    """Rows ``row, row + 1, ...`` as a tuple of vectors as long as the tuple ``like``."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _row_pointer(context, builder, sig.args[0], args[0], args[1], lanes_type)
        offsets = [ir.Constant(ir.IntType(64), n) for n in range(len(like))]
        align = lanes_type.scalar.bitwidth // 8
        vectors = [builder.load(builder.gep(pointer, [offset]), align=align) for offset in offsets]
        return context.make_tuple(builder, sig.return_type, vectors)

    return types.UniTuple(lanes_type, len(like))(array, types.intp, like), generate


@intrinsic
def zeros(typing: Any, array: Any, like: Any) -> Any:
    """A tuple, as long as ``like``, of vectors of zeros as the rows of an array have it."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_tuple(builder, sig.return_type, [ir.Constant(lanes_type.ir, None)] * len(like))

    return types.UniTuple(lanes_type, len(like))(array, like), generate


@intrinsic
def store_rows(typing: Any, array: Any, row: Any, vectors: Any) -> Any:
    """Write a tuple of vectors to rows ``row, row + 1, ...``."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _row_pointer(context, builder, sig.args[0], args[0], args[1], lanes_type)
        for n, vector in enumerate(cgutils.unpack_tuple(builder, args[2])):
            offset = ir.Constant(ir.IntType(64), n)
            builder.store(vector, builder.gep(pointer, [offset]), align=lanes_type.scalar.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vectors), generate


@intrinsic
def broadcast_elements(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Elements ``index, index + 1, ...`` of ``array.flat``, each in every lane, as a tuple as long as ``like``."""
    lanes_type = _VECTOR_OF[array.dtype]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, sig.args[0], args[0], args[1])
        scalars = [builder.load(builder.gep(pointer, [ir.Constant(ir.IntType(64), n)])) for n in range(len(like))]
        vectors = [_broadcast(context, builder, scalar, lanes_type.scalar, lanes_type) for scalar in scalars]
        return context.make_tuple(builder, sig.return_type, vectors)

    return types.UniTuple(lanes_type, len(like))(array, types.intp, like), generate


@intrinsic
def multiplied(typing: Any, left: Any, right: Any, start: Any) -> Any:
    """``start + left @ right`` for column-major matrices, each a tuple of vectors; ``right`` may be one column.

    The shapes follow from the lengths: those of (m, p), (p, n) and (m, n) give p.
    """
    inner = math.isqrt(len(left) * len(right) // len(start))
    rows, columns = len(left) // inner, len(right) // inner

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left_entries, right_entries, sums = (cgutils.unpack_tuple(builder, arg) for arg in args)
        for p, column, row in itertools.product(range(inner), range(columns), range(rows)):
            place = column * rows + row
            triple = [left_entries[p * rows + row], right_entries[column * inner + p], sums[place]]
            sums[place] = _call_llvm(builder, "llvm.fma", start.dtype, triple)
        return context.make_tuple(builder, sig.return_type, sums)

    return start(left, right, start), generate


@intrinsic
def weighted_gram(typing: Any, matrix: Any, weights: Any, start: Any) -> Any:
    """``diag(start) + matrix' diag(weights) matrix`` for a column-major matrix, all tuples of vectors."""
    inner, columns = len(weights), len(start)
    result_type = types.UniTuple(start.dtype, columns**2)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entries, factors, diagonal = (cgutils.unpack_tuple(builder, arg) for arg in args)
        zero = ir.Constant(start.dtype.ir, None)
        result = []
        for column, row in itertools.product(range(columns), repeat=2):
            entry = diagonal[row] if row == column else zero
            for p in range(inner):
                scaled_entry = builder.fmul(factors[p], entries[row * inner + p])
                entry = _call_llvm(builder, "llvm.fma", start.dtype, [scaled_entry, entries[column * inner + p], entry])
            result.append(entry)
        return context.make_tuple(builder, sig.return_type, result)

    return result_type(matrix, weights, start), generate


@intrinsic
def scaled(typing: Any, factors: Any, vectors: Any) -> Any:
    """The products of two tuples of vectors, entry by entry."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(*(cgutils.unpack_tuple(builder, arg) for arg in args), strict=True)
        return context.make_tuple(builder, sig.return_type, [builder.fmul(*pair) for pair in pairs])

    return vectors(factors, vectors), generate


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` with one rounding; at least one of the three is a vector."""
    lanes_type = next(given for given in (a, b, c) if isinstance(given, LanesType))

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vectors = _as_vectors(context, builder, args, sig.args, lanes_type)
        return _call_llvm(builder, "llvm.fma", lanes_type, vectors)

    return lanes_type(*(given if given == lanes_type else types.float64 for given in (a, b, c))), generate


@intrinsic
def sqrt(typing: Any, a: Any) -> Any:
    """The square root of every lane."""
    return a(a), lambda context, builder, sig, args: _call_llvm(builder, "llvm.sqrt", sig.args[0], args)


@intrinsic
def bits(typing: Any, a: Any) -> Any:
    """The bits of every number, as a word of the same length."""
    target = _BITS_OF[a]
    return target(a), lambda context, builder, sig, args: builder.bitcast(args[0], target.ir)


@intrinsic
def from_bits(typing: Any, a: Any) -> Any:
    """The numbers with these bits."""
    target = DOUBLES if a == WORDS else FLOATS
    return target(a), lambda context, builder, sig, args: builder.bitcast(args[0], target.ir)


@intrinsic
def interleaved(typing: Any, even: Any, odd: Any) -> Any:
    """32-bit words: the low halves of ``even`` in the even lanes, of ``odd`` in the odd ones."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        low = builder.and_(args[0], ir.Constant(WORDS.ir, [0xFFFFFFFF] * WORDS.count))
        high = builder.shl(args[1], ir.Constant(WORDS.ir, [32] * WORDS.count))
        return builder.bitcast(builder.or_(low, high), SHORTS.ir)

    return SHORTS(WORDS, WORDS), generate


@intrinsic
def word_pairs(typing: Any, a: Any) -> Any:
    """Neighbouring 32-bit words as one 64-bit word, the even ones in the low halves."""
    return WORDS(SHORTS), lambda context, builder, sig, args: builder.bitcast(args[0], WORDS.ir)


@intrinsic
def unsigned_to_float(typing: Any, a: Any) -> Any:
    """The unsigned 32-bit words as floats, rounded to nearest."""
    return FLOATS(SHORTS), lambda context, builder, sig, args: builder.uitofp(args[0], FLOATS.ir)


@intrinsic
def signed_to_float(typing: Any, a: Any) -> Any:
    """The signed 32-bit words as floats, rounded to nearest."""
    return FLOATS(SHORTS), lambda context, builder, sig, args: builder.sitofp(args[0], FLOATS.ir)
