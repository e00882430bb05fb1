"""The functions that a file writes itself: read, simplified, differentiated, printed.

    squared_relu(x) = max(x, 0) ^ 2
    cap(x, limit = 30) = limit * (2 / (1 + exp(-2 * x / limit)) - 1)
    tilt(s, q, k, h, slope) = s - slope * abs(q - k) if q > k else s

One `Functions` a file reads them when they are asked for; what is wrong goes to its report.

    functions = Functions(scope.functions, scope, report)         # scope: the file's names
    functions.read_all()                                          # every mistake, used or not
    cap = functions.find("cap")                                   # ScalarFunction, or None where it has a mistake
    read_expression(flow, ("x",), functions)                      # a flow that stands elsewhere, over parameters

As a stage, an activation or a score: the place supplies the first parameters, the call gives the others.

    given = match_arguments(stage, cap.parameters, report, supplied=("x",))         # {"limit": flow}
    check_score(tilt, functions.written["tilt"], stage, report)                     # are the first s, q, k, h?
    value = applied(cap, named={"limit": Constant(number)})                         # an expression over x alone

An expression is then simplified, differentiated and printed, by the file of that name. `number` says how a constant is
written, `name` how a parameter is called where the text will stand.

    slope = differentiate(value, "x")
    print_torch(value, {"x"}, number=code.number)                 # 30 * (2 / (1 + torch.exp(-2 * x / 30)) - 1)
    print_triton(slope, name={"x": "scores"}.__getitem__)         # for a kernel, forward or backward
    print_numpy(value)
    onnx_nodes(g, value, {"x": (onnx_value, type)}, "gpt.cap")    # (value, type)

    function_source(cap)                                          # def cap(x: Tensor, limit: float = 30) -> Tensor: ...
    functions_called(cap.value, {"x"})                            # what has to stand above it (print_torch)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arguments import SCORE, check_score, match_arguments
    from .expression import Constant, Expression, ScalarFunction, Variable, applied, substitute, variables
    from .read import Functions, read_expression

__all__ = [
    "SCORE",
    "Constant",
    "Expression",
    "Functions",
    "ScalarFunction",
    "Variable",
    "applied",
    "check_score",
    "match_arguments",
    "read_expression",
    "substitute",
    "variables",
]

_FILES = {
    "arguments": ("SCORE", "check_score", "match_arguments"),
    "expression": ("Constant", "Expression", "ScalarFunction", "Variable", "applied", "substitute", "variables"),
    "read": ("Functions", "read_expression"),
}


def __getattr__(name: str) -> Any:
    # Most specs have no functions of their own: a check loads only what is asked for.
    for file, names in _FILES.items():
        if name in names:
            return getattr(import_module(f".{file}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
