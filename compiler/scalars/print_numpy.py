"""An expression in numpy, for references and tests: `np.exp(x)`; it needs the names `np` and `math`."""

from __future__ import annotations

from .expression import Compute, Expression
from .python_text import PythonPrinter, Text

_FUNCTIONS = {name: f"np.{name}" for name in ("sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil")} | {
    "max": "np.maximum",
    "min": "np.minimum",
    "tanh": "np.tanh",
    "erf": "np.vectorize(math.erf, otypes=[float])",
}


def print_numpy(expression: Expression) -> str:
    """The expression over variables that are arrays of floats, all constants as their values."""
    return _Numpy().text(expression)


class _Numpy(PythonPrinter):
    def choice(self, condition: Expression, then: Expression, otherwise: Expression) -> Text:
        return self.called("np.where", condition, then, otherwise)

    def function(self, e: Compute) -> Text:
        if e.operator in _FUNCTIONS:
            return self.called(_FUNCTIONS[e.operator], *e.operands)
        return super().function(e)
