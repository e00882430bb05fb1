"""The activations of the language as expressions.

Printers have words of their own for them; where one has none, and for derivatives, the definition is taken. At kinks
the definitions choose as PyTorch's backward passes do (relu has slope 0 at 0, hardsigmoid slope 0 at its corners),
and a NaN that comes in goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .expression import HALF, ONE, ZERO, Compute, Expression, compute, constant, has_value

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_ROOT_HALF = 0.7071067811865475244
_ROOT_TWO_OVER_PI = 0.79788456080286535588


OPTIONS: Mapping[str, Mapping[str, float]] = {
    "relu": {},
    "leaky_relu": {"slope": 0.01},
    "elu": {},
    "selu": {},
    "gelu": {},
    "silu": {},
    "swish": {"beta": 1},
    "sigmoid": {},
    "tanh": {},
    "softplus": {},
    "mish": {},
    "hardswish": {},
    "hardsigmoid": {},
}
"""The pointwise activations without weights, each with the options behind its input and their defaults.

`gelu(x, approximate = tanh)` is `gelu_tanh` in expressions.
"""


def _if(condition: Expression, then: Expression, otherwise: Expression) -> Expression:
    return compute("if", condition, then, otherwise)


def _times(*factors: Expression) -> Expression:
    first, *rest = factors
    for factor in rest:
        first = compute("*", first, factor)
    return first


def _plus(a: Expression, b: Expression) -> Expression:
    return compute("+", a, b)


def _at_most(x: Expression, value: float) -> Expression:
    return compute("<=", x, constant(value))


def _elu(x: Expression) -> Expression:
    return _if(_at_most(x, 0), compute("-", compute("exp", x), ONE), x)


def _selu(x: Expression) -> Expression:
    below = _times(constant(_SELU_ALPHA), compute("-", compute("exp", x), ONE))
    return _times(constant(_SELU_SCALE), _if(_at_most(x, 0), below, x))


def _gelu(x: Expression) -> Expression:
    return _times(HALF, x, _plus(ONE, compute("erf", _times(x, constant(_ROOT_HALF)))))


def _gelu_tanh(x: Expression) -> Expression:
    cube = _times(constant(0.044715), compute("^", x, constant(3)))
    return _times(HALF, x, _plus(ONE, compute("tanh", _times(constant(_ROOT_TWO_OVER_PI), _plus(x, cube)))))


def _softplus(x: Expression) -> Expression:
    small = compute("exp", compute("neg", compute("abs", x)))
    return _plus(compute("max", x, ZERO), compute("log", _plus(ONE, small)))


def _hardsigmoid(x: Expression) -> Expression:
    between = _plus(compute("/", x, constant(6)), HALF)
    return _if(_at_most(x, -3), ZERO, _if(compute(">=", x, constant(3)), ONE, between))


_DEFINITIONS: Mapping[str, Callable[..., Expression]] = {
    "relu": lambda x: _if(_at_most(x, 0), ZERO, x),
    "leaky_relu": lambda x, slope: _if(compute(">", x, ZERO), x, _times(slope, x)),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x: _times(x, compute("sigmoid", x)),
    "sigmoid": lambda x: compute("/", ONE, _plus(ONE, compute("exp", compute("neg", x)))),
    "tanh": lambda x: compute("-", _times(constant(2), compute("sigmoid", _times(constant(2), x))), ONE),
    "softplus": _softplus,
    "mish": lambda x: _times(x, compute("tanh", compute("softplus", x))),
    "hardswish": lambda x: _times(x, compute("hardsigmoid", x)),
    "hardsigmoid": _hardsigmoid,
}

ACTIVATIONS = frozenset(_DEFINITIONS)
"""The operators of expressions that are activations."""


def definition(activation: Compute) -> Expression:
    """What an activation computes, in plainer operators; some of these are activations again."""
    return _DEFINITIONS[activation.operator](*activation.operands)


def activation(word: str, x: Expression, *options: Expression) -> Expression:
    """The expression of `word(x, options...)`; the options are those of `OPTIONS`, all of them."""
    if word == "swish":
        (beta,) = options
        return compute("silu", x) if has_value(beta, 1) else _times(x, compute("sigmoid", _times(beta, x)))
    return compute(word, x, *options)
