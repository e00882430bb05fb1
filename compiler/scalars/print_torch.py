"""An expression in PyTorch, as an engineer would write it: `x.clamp(min=0) ** 2`, `torch.where(q > k, s, 0)`.

Some parameters are tensors, the others Python floats (`limit` in `cap(x, limit)`): what is computed of floats alone is
Python (`math.exp(limit)`). The text is scripted by TorchScript and differentiated by autograd, and keeps the dtype of
its tensors, which are floats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..semantics.number import Number
from .activations import ACTIVATIONS
from .expression import (
    Call,
    Compute,
    Constant,
    Expression,
    ScalarFunction,
    Variable,
    applied,
    compute,
    has_value,
    nodes,
    operands,
)
from .guard import guarded
from .python_text import AND, ATOM, IF, NOT, OR, PythonPrinter, Text, python_number

_TORCH = {name: f"torch.{name}" for name in ("sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil", "erf")} | {
    "sigmoid": "torch.sigmoid",
    "tanh": "torch.tanh",
    "max": "torch.maximum",
    "min": "torch.minimum",
}
_MATH = {name: f"math.{name}" for name in ("sqrt", "exp", "log", "sin", "cos", "floor", "ceil", "erf", "tanh")} | {
    name: name for name in ("abs", "max", "min")
}


def print_torch(
    expression: Expression,
    tensors: Collection[str],
    *,
    number: Callable[[Number], str] = python_number,
    name: Callable[[str], str] = lambda name: name,
) -> str:
    """The expression over PyTorch variables.

    `tensors` are the parameters that are tensors; `number` says how a constant is written (`4 * config.dim`), `name`
    how a parameter is called. The text may need the names `torch`, `F` and `math`. A function of the file is called by
    its name where the call fits how `function_source` writes it.
    """
    printer = TorchPrinter(frozenset(tensors), number, name)
    return printer.text(guarded(expression, printer.is_tensor))


def is_plain_call(call: Call, is_tensor: Callable[[Expression], bool]) -> bool:
    """Whether it is a call as `function_source` writes functions: a tensor, then numbers."""
    first, *rest = call.arguments
    return is_tensor(first) and not any(is_tensor(argument) for argument in rest)


class TorchPrinter(PythonPrinter):
    """`called` says how a function of the file is called where the text will stand; left out, like a parameter."""

    def __init__(
        self,
        tensors: frozenset[str],
        number: Callable[[Number], str],
        name: Callable[[str], str],
        called: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(number, name)
        self._tensors, self._called = tensors, called or name

    def is_tensor(self, e: Expression) -> bool:
        return any(isinstance(node, Variable) and node.name in self._tensors for node in nodes(e))

    def piece(self, e: Expression) -> Text:
        match e:
            case Compute("and" | "or" as word, (a, b)) if not self.is_tensor(e):
                level = AND if word == "and" else OR
                return Text(f"{self.piece(a).at(level)} {word} {self.piece(b).at(NOT)}", level)
        return super().piece(e)

    def full(self, n: Expression, of: Expression) -> str:
        """A number as a tensor without dims, of the dtype and device of `of`."""
        like = next(node.name for node in nodes(of) if isinstance(node, Variable) and node.name in self._tensors)
        return f"{self._name(like)}.new_full((), {self.text(n)})"

    def choice(self, condition: Expression, then: Expression, otherwise: Expression) -> Text:
        if not self.is_tensor(condition):
            first, second = self._alike(then, otherwise)
            return Text(f"{first.at(OR)} if {self.piece(condition).at(OR)} else {second.at(IF)}", IF)
        if self.is_tensor(then) or self.is_tensor(otherwise):
            return self.called("torch.where", condition, then, otherwise)
        # Of two numbers torch.where makes float32, whatever comes in.
        if has_value(then, 1) and has_value(otherwise, 0):
            like = next(n.name for n in nodes(condition) if isinstance(n, Variable) and n.name in self._tensors)
            return Text(f"({self.text(condition)}).to({self._name(like)}.dtype)")
        return Text(f"torch.where({self.text(condition)}, {self.full(then, condition)}, {self.text(otherwise)})")

    def _alike(self, a: Expression, b: Expression) -> tuple[Text, Text]:
        """Both sides of Python's `if`, which TorchScript wants of one type: both tensors or both numbers."""
        if self.is_tensor(a) == self.is_tensor(b):
            return self.piece(a), self.piece(b)
        if self.is_tensor(a):
            return self.piece(a), Text(self.full(b, a))
        return Text(self.full(a, b)), self.piece(b)

    def arithmetic(self, operator: str, a: Expression, b: Expression) -> Text:
        # The operators of PyTorch's tensors have no derivative here.
        if operator == "//" and self.is_tensor(compute("//", a, b)):
            left = self.piece(a).at(ATOM) if self.is_tensor(a) else self.full(a, b)
            return Text(f'{left}.div({self.text(b)}, rounding_mode="floor")')
        if operator == "%" and self.is_tensor(b) and not self.is_tensor(a):
            return Text(f"torch.remainder({self.full(a, b)}, {self.text(b)})")
        return super().arithmetic(operator, a, b)

    def call(self, e: Call) -> Text:
        if not is_plain_call(e, self.is_tensor):
            return super().call(e)
        arguments = list(e.arguments)
        defaults = [p.default for p in e.function.parameters]
        while len(arguments) > 1 and defaults[len(arguments) - 1] is not None:
            last, default = arguments[-1], defaults[len(arguments) - 1]
            if not (isinstance(last, Constant) and last.number == default):
                break
            arguments.pop()
        return self.called(self._called(e.function.name), *arguments)

    def function(self, e: Compute) -> Text:
        if not self.is_tensor(e):
            if e.operator in _MATH:
                return self.called(_MATH[e.operator], *e.operands)
            return super().function(e)
        if e.operator in ("max", "min"):
            return self._clamped(e)
        if e.operator in _TORCH:
            return self.called(_TORCH[e.operator], *e.operands)
        assert e.operator in ACTIVATIONS
        if e.operator == "gelu_tanh":
            return Text(f'F.gelu({self.text(e.operands[0])}, approximate="tanh")')
        if any(self.is_tensor(option) for option in e.operands[1:]):
            return super().function(e)
        return self.called(f"F.{e.operator}", *e.operands)

    def _clamped(self, e: Compute) -> Text:
        a, b = e.operands
        if self.is_tensor(a) and self.is_tensor(b):
            return self.called(_TORCH[e.operator], a, b)
        x, bound = (a, b) if self.is_tensor(a) else (b, a)
        both = self._both_bounds(e.operator, x, bound)
        if both is not None:
            return both
        edge = "min" if e.operator == "max" else "max"
        return Text(f"{self.piece(x).at(ATOM)}.clamp({edge}={self.text(bound)})")

    def _both_bounds(self, operator: str, x: Expression, bound: Expression) -> Text | None:
        """`x.clamp(0, 6)` for min(max(x, 0), 6), where the first is known to be the smaller."""
        if not isinstance(x, Compute) or x.operator not in ("max", "min") or x.operator == operator:
            return None
        inner, other = x.operands if self.is_tensor(x.operands[0]) else reversed(operands(x))
        if not isinstance(other, Constant) or not isinstance(bound, Constant):
            return None
        low, high = (other, bound) if operator == "min" else (bound, other)
        if low.number.value is None or high.number.value is None or low.number.value > high.number.value:
            return None
        return Text(f"{self.piece(inner).at(ATOM)}.clamp({self.text(low)}, {self.text(high)})")


def functions_called(expression: Expression, tensors: Collection[str]) -> tuple[ScalarFunction, ...]:
    """The functions whose names stand in the text of `print_torch`, each before those that call it."""
    printer = TorchPrinter(frozenset(tensors), python_number, str)
    found: dict[ScalarFunction, None] = {}

    def visit(e: Expression) -> None:
        if isinstance(e, Call) and not is_plain_call(e, printer.is_tensor):
            visit(applied(e.function, e.arguments))
            return
        for part in operands(e):
            visit(part)
        if isinstance(e, Call):
            first = e.function.parameters[0].name
            found.update(dict.fromkeys(functions_called(e.function.value, {first})))
            found[e.function] = None

    visit(guarded(expression, printer.is_tensor))
    return tuple(found)
