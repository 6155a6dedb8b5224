"""Vectors of eight lanes for compiled code: what the roll-outs compute with.

Numba compiles scalar code and leaves it to LLVM to find the vectors in it, which fails for the loops that matter here:
a small matrix product keeps its sums in registers only if the sums are *variables* and not array elements. So this
module gives Numba two value types, eight doubles and eight 64-bit words, with the usual operators. A lane is a
roll-out. LLVM maps the eight lanes to whatever the processor has (one AVX-512 register, two of AVX2, four of NEON); the
numbers do not depend on that choice, because lanes never mix and every rounding is explicit: ``fma`` rounds once,
``a * b + c`` twice, on every processor.

Only compiled code (``numba.njit``) can use what is defined here.
"""

import operator
from collections.abc import Callable
from typing import Any, ClassVar

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8

_DOUBLES_IR = ir.VectorType(ir.DoubleType(), LANES)
_WORDS_IR = ir.VectorType(ir.IntType(64), LANES)


class LanesType(types.Type):
    """Numba type of a vector of :data:`LANES` lanes."""


class _DoublesType(LanesType):
    def __init__(self) -> None:
        super().__init__(name=f"doubles{LANES}")


class _WordsType(LanesType):
    def __init__(self) -> None:
        super().__init__(name=f"words{LANES}")


@register_model(_DoublesType)
class _DoublesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes_type: LanesType) -> None:
        super().__init__(manager, lanes_type, _DOUBLES_IR)


@register_model(_WordsType)
class _WordsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes_type: LanesType) -> None:
        super().__init__(manager, lanes_type, _WORDS_IR)


DOUBLES = _DoublesType()
WORDS = _WordsType()


def _define_operator(function: Callable[..., Any], lanes_type: LanesType, instruction: str) -> None:
    """Teach Numba one binary operator between two vectors of the same type: one LLVM instruction."""

    @infer_global(function)
    class _Template(ConcreteTemplate):
        cases: ClassVar = [signature(lanes_type, lanes_type, lanes_type)]

    @lower_builtin(function, lanes_type, lanes_type)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


for _function, _instruction in [
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
]:
    _define_operator(_function, DOUBLES, _instruction)
for _function, _instruction in [
    (operator.add, "add"),
    (operator.sub, "sub"),
    (operator.mul, "mul"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.xor, "xor"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
]:
    _define_operator(_function, WORDS, _instruction)


def _splat(builder: Any, scalar: Any, vector_ir: ir.VectorType) -> Any:
    undefined = ir.Constant(vector_ir, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, mask)


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _call_llvm(builder: Any, name: str, args: Any) -> Any:
    """Call an LLVM intrinsic from doubles to doubles, lane by lane."""
    function_type = ir.FunctionType(_DOUBLES_IR, [_DOUBLES_IR] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"{name}.v{LANES}f64")
    return builder.call(function, args)


@intrinsic
def doubles(typing: Any, scalar: Any) -> Any:
    """A float in every lane."""
    return DOUBLES(types.float64), lambda context, builder, sig, args: _splat(builder, args[0], _DOUBLES_IR)


@intrinsic
def words(typing: Any, scalar: Any) -> Any:
    """An integer in every lane."""
    return WORDS(types.int64), lambda context, builder, sig, args: _splat(builder, args[0], _WORDS_IR)


@intrinsic
def lane_numbers(typing: Any) -> Any:
    """The words 0, 1, ..., 7."""
    return WORDS(), lambda context, builder, sig, args: ir.Constant(_WORDS_IR, list(range(LANES)))


@intrinsic
def element(typing: Any, array: Any, index: Any) -> Any:
    """``array.flat[index]`` in every lane, for a C-contiguous float64 array; the index is not checked."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, sig.args[0], args[0], args[1])
        return _splat(builder, builder.load(pointer), _DOUBLES_IR)

    return DOUBLES(array, types.intp), generate


@intrinsic
def load(typing: Any, array: Any, row: Any) -> Any:
    """Row ``row`` of a C-contiguous float64 array whose last dimension is the lanes; the row is not checked."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = builder.mul(args[1], ir.Constant(args[1].type, LANES))
        pointer = _element_pointer(context, builder, sig.args[0], args[0], index)
        return builder.load(builder.bitcast(pointer, _DOUBLES_IR.as_pointer()), align=8)

    return DOUBLES(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, row: Any, value: Any) -> Any:
    """Write a vector to row ``row`` of a C-contiguous float64 array whose last dimension is the lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = builder.mul(args[1], ir.Constant(args[1].type, LANES))
        pointer = _element_pointer(context, builder, sig.args[0], args[0], index)
        builder.store(args[2], builder.bitcast(pointer, _DOUBLES_IR.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, DOUBLES), generate


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` with one rounding."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call_llvm(builder, "llvm.fma", args)

    return DOUBLES(DOUBLES, DOUBLES, DOUBLES), generate


@intrinsic
def sqrt(typing: Any, a: Any) -> Any:
    """The square root of every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call_llvm(builder, "llvm.sqrt", args)

    return DOUBLES(DOUBLES), generate


@intrinsic
def bits(typing: Any, a: Any) -> Any:
    """The 64 bits of every double."""
    return WORDS(DOUBLES), lambda context, builder, sig, args: builder.bitcast(args[0], _WORDS_IR)


@intrinsic
def from_bits(typing: Any, a: Any) -> Any:
    """The doubles with these 64 bits."""
    return DOUBLES(WORDS), lambda context, builder, sig, args: builder.bitcast(args[0], _DOUBLES_IR)


@intrinsic
def where_less(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """``yes`` in the lanes where the word a < b (signed), ``no`` in the others."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed("<", args[0], args[1]), args[2], args[3])

    return DOUBLES(WORDS, WORDS, DOUBLES, DOUBLES), generate
