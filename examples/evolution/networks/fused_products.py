"""A product and a sum rounded once, in kernels: left * right + total.

One instruction on any recent processor, some twenty on one of before 2013, and the same result on every one.
A compiler that is free to fuse does so on some processors only, and where it likes.
"""

# numba reads no annotations: it asks each intrinsic, given types, for its signature and code.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.registry import cpu_target

intrinsic: Any = numba.extending.intrinsic  # kernels call what it makes without the first argument


@intrinsic
def multiply_add(_, left, right, total):
    """Return left * right + total of single numbers."""

    def generate(context, builder, signature, arguments):
        return fuse(builder, *arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


def target():
    """Of the processor that numba compiles for: its triple, its name, and its features."""
    return cpu_target.target_context.codegen().magic_tuple()


def fuse(builder, left, right, total):
    """Write code for left * right + total, float32 or vectors of them, rounded once."""
    triple, name, features = target()
    known = features or name == "generic"  # another name without features: its compiler knows them
    if triple.startswith("x86_64") and known and "+fma" not in features.split(","):
        return _fuse_by_doubles(builder, left, right, total)
    kind = ir.FunctionType(total.type, [total.type] * 3)
    several = isinstance(total.type, ir.VectorType)
    name = f"llvm.fma.v{total.type.count}f32" if several else "llvm.fma.f32"
    return builder.call(get_or_insert_function(builder.module, kind, name), [left, right, total])


def _fuse_by_doubles(builder, left, right, total):
    """The same where no instruction does it; the C library's function takes a hundred times as long.

    Doubles hold the product, but not the sum, which would be rounded twice. Where it is not exact it becomes
    the neighbour whose last bit is one, which no second rounding mistakes (Boldo and Melquiond, 2008).
    """
    several = isinstance(total.type, ir.VectorType)
    double, bits = ir.DoubleType(), ir.IntType(64)
    if several:
        double, bits = ir.VectorType(double, total.type.count), ir.VectorType(bits, total.type.count)

    def constant(number, kind=bits):
        return ir.Constant(kind, [number] * total.type.count if several else number)

    a, b, c = (builder.fpext(value, double) for value in (left, right, total))
    product = builder.fmul(a, b)
    found = builder.fadd(product, c)
    rest = builder.fsub(found, product)
    error = builder.fadd(builder.fsub(product, builder.fsub(found, rest)), builder.fsub(c, rest))
    number, sign = builder.bitcast(found, bits), builder.bitcast(error, bits)
    # A double's bits grow with its size: one more where the error has its sign, one less where it has not.
    other = builder.ashr(builder.xor(number, sign), constant(63))
    next_one = builder.add(number, builder.or_(other, constant(1)))
    even = builder.icmp_signed("==", builder.and_(number, constant(1)), constant(0))
    inexact = builder.fcmp_ordered("!=", error, constant(0.0, double))
    odd = builder.select(builder.and_(even, inexact), next_one, number)
    return builder.fptrunc(builder.bitcast(odd, double), total.type)
