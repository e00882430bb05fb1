"""A function of the file as the Python function that stands in an emitted module."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..semantics.number import Number
from .expression import ScalarFunction, Variable
from .guard import guarded
from .print_torch import TorchPrinter
from .python_text import python_number


def function_source(
    function: ScalarFunction,
    *,
    tensors: Collection[str] | None = None,
    number: Callable[[Number], str] = python_number,
    name: Callable[[str], str] = lambda name: name,
    called: Callable[[str], str] | None = None,
) -> str:
    """`def squared_relu(x: Tensor) -> Tensor:` and its body, a line each.

    `tensors` are the parameters that are given tensors (left out: the first); the others are floats. `number` and
    `name` are as in `print_torch`, `called` says how functions are called: left out, as `name` does. The lines are as
    long as they come; the text may need `torch`, `F`, `math` and
    `Tensor`. Where one of the parameters is a tensor, so is the result, in its shape.
    """
    first = function.parameters[0].name
    given = frozenset({first} if tensors is None else tensors)
    called = called or name
    printer = TorchPrinter(given, number, name, called)
    parameters = []
    for parameter in function.parameters:
        kind = "Tensor" if parameter.name in given else "float"
        default = "" if parameter.default is None else f" = {number(parameter.default)}"
        parameters.append(f"{name(parameter.name)}: {kind}{default}")
    value = printer.text(guarded(function.value, printer.is_tensor))
    if not printer.is_tensor(function.value):
        value = f"torch.full_like({printer.text(Variable(first))}, {value})"
    return f"def {called(function.name)}({', '.join(parameters)}) -> Tensor:\n    return {value}\n"
