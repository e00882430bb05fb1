"""l1: the sizes of weights, so that few of them are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from ....grammar import tree
from ....grammar.source import Span
from ...options import Kind
from ...semantics.evaluate import FAULT, Scope
from ...semantics.report import Report
from ...semantics.tensor import UNKNOWN
from ..base import ReadBy
from ..measure import Loss, Operand, Statements, Value
from ..modules import ModuleName, read_modules


def _read_weights(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    match flow:
        case tree.Stage(path=tree.Path(parts=("weights",)), args=None, body=None):
            return ()
    modules = read_modules(flow, name, report)
    return FAULT if modules is None else modules


class L1(Loss):
    """`1e-5 * l1(weights)`: the sum of the absolute values of all weights, to be added to a loss (Tibshirani 1996).

    `l1(head)`, `l1([stem, head])`, `l1("blocks.*.mlp")` are those of these modules. Biases are weights, too.
    """

    word: ClassVar[str] = "l1"
    example: ClassVar[str] = "l1(weights)"
    takes: ClassVar[tuple[str, ...]] = ()

    weights: Annotated[Any, Kind(lambda value: value), ReadBy(_read_weights, frozenset({"weights"}))]

    def check(self, values: Sequence[Value]) -> None:
        pass

    def needs(self, values: Sequence[Value], span: Span) -> tuple[Value, ...]:
        return (Value("model", "model", UNKNOWN, span),)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        (model,) = operands
        if not self.weights:
            return before.assign("l1", f"sum(p.abs().sum() for p in {model.text}.parameters())")
        listed = [module.text for module in self.weights]
        penalised = before.define(
            "penalised",
            [
                "def penalised(model: nn.Module) -> list[nn.Parameter]:",
                f'    """The weights of {" and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))}."""',
                "    return [",
                "        p",
                "        for name, p in model.named_parameters(remove_duplicate=False)",
                f"        if {_in_modules(self.weights)}",
                "    ]",
            ],
        )
        return before.assign("l1", f"sum(p.abs().sum() for p in {penalised}({model.text}))")


def _in_modules(modules: Sequence[ModuleName]) -> str:
    """The condition that a parameter called `name` lies in one of the modules, or is one itself."""
    if not any(module.quoted for module in modules):
        starts = ", ".join(f'"{module.text}."' for module in modules)
        return f'f"{{name}}.".startswith({starts if len(modules) == 1 else f"({starts})"})'
    pattern = "|".join(module.pattern for module in modules)
    return f're.match(r"({pattern})\\.", f"{{name}}.")'
