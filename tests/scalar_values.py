"""The values of scalar expressions, entry by entry in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dlspec.compiler.scalars.activations import ACTIVATIONS, definition
from dlspec.compiler.scalars.expression import Compute, Constant, Expression, Variable
from dlspec.compiler.semantics.number import real

Arrays = Mapping[str, np.ndarray]
_NUMPY: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.remainder,
    "^": np.power,
    "neg": np.negative,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "if": np.where,
    "max": np.maximum,
    "min": np.minimum,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "tanh": np.tanh,
    **{name: getattr(np, name) for name in ("sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil")},
}


def value(e: Expression, at: Arrays) -> np.ndarray:
    """The value by numpy's own functions, in fp64."""
    *_, last = values(e, at)
    return last


def values(e: Expression, at: Arrays) -> Iterator[np.ndarray]:
    """The values of all parts, the whole last."""
    match e:
        case Variable(name=name):
            yield at[name]
        case Constant(number=n):
            yield np.float64(real(n))  # type: ignore[misc]
        case Compute(operator, operands):
            found = []
            for operand in operands:
                inner = list(values(operand, at))
                yield from inner
                found.append(inner[-1])
            with np.errstate(all="ignore"):
                if operator in ACTIVATIONS and operator not in _NUMPY:
                    names = [f"{i}" for i in range(len(found))]
                    plain = definition(Compute(operator, tuple(map(Variable, names))))
                    yield value(plain, dict(zip(names, found, strict=True)))
                else:
                    yield _NUMPY[operator](*found)
        case _:
            raise AssertionError(e)


_STEPS = np.array([-3, -2.5, -2, -1, -0.5, 0, 0.1, 0.5, 1, 2, 3, 3.7])
GRID: Arrays = {"x": np.repeat(_STEPS, len(_STEPS)), "y": np.tile(_STEPS, len(_STEPS))}
"""Pairs of x and y, equal ones and kinks among them."""


def moderate(e: Expression, at: Arrays, limit: float = 1e3) -> np.ndarray:
    """Where no part of an expression is NaN, infinite or large."""
    fits = np.ones(at["x"].shape, bool)
    for part in values(e, at):
        fits &= np.isfinite(part) & (np.abs(np.asarray(part, float)) <= limit)
    return fits
