"""How a model is trained, as plain functions: `<spec>_recipe.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

from ...semantics.number import Number, real, whole, written
from ...training.arguments import argument_names
from ...training.losses.cross_entropy import CrossEntropy
from ...training.measure import Call, Operand, Value
from ...training.objective import LossTerm, Objective, Scaled, Sum
from ...training.optimizer import Optimizer
from ...training.plan import TrainPlan
from ...training.spelling import real_text
from .layout import WIDTH, fit
from .rates import write_learning_rate

if TYPE_CHECKING:
    from ..triton.file import KernelFile

DOC_WIDTH = 120


def emit_recipe(plan: TrainPlan, source_name: str, model_name: str, kernels: KernelFile | None = None) -> str:
    """The recipe as readable, standalone PyTorch: `loss`, `metrics` where there are any, `parameter_groups`,
    `optimizer` and `learning_rate`. `source_name` is the spec's file name, for the docstring.

    With `kernels` the loss calls those where there are some, and they are written there.
    """
    fused = _fused(plan, kernels)
    functions = [
        _loss(plan, fused),
        *([_metrics(plan)] if plan.metrics else []),
        _parameter_groups(plan.optimizer),
        _optimizer(plan.optimizer),
        write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run),
    ]
    body = "\n\n\n".join("\n".join(part for line in lines for part in fit(line)) for lines in functions)
    name = "" if plan.recipe == model_name else f" as {plan.recipe}"
    doc = (
        f"How {model_name} is trained{name}, from {source_name}: "
        "plain functions over the model's outputs, its parameters and the step."
    )
    imports = _imports(body)
    if kernels is not None and fused:
        imports += ["", f"from {kernels.module} import {', '.join(sorted(set(fused.values())))}"]
    return "\n".join([*docstring(doc), "", *imports, "", "", body, ""])


def _fused(plan: TrainPlan, kernels: KernelFile | None) -> dict[int, str]:
    """The functions with kernels that stand for losses, by the identity of the term."""
    if kernels is None:
        return {}
    from ..triton.losses import fused_losses

    return {id(term): kernels.add(features) for term, features in fused_losses(plan)}


def _imports(body: str) -> list[str]:
    standard = ["import math"] if re.search(r"\bmath\.", body) else []
    functional = ["import torch.nn.functional as F"] if re.search(r"\bF\.", body) else []
    ours = [*standard, "from typing import Any", "", "import torch", *functional, "from torch import Tensor, nn"]
    return ["from __future__ import annotations", "", *ours]


def docstring(text: str, indent: str = "") -> list[str]:
    """One line where it stays below 120 columns, as docstrings do that are read and not formatted; else several."""
    line = f'{indent}"""{text}"""'
    return [line] if len(line) <= DOC_WIDTH else wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


class _Function:
    """The body of a function while it is written. `taken` are the names that it may not give away."""

    def __init__(self, names: Iterable[str]) -> None:
        self.lines: list[str] = []
        self.taken = set(names)

    def assign(self, name: str, expression: str) -> str:
        free, number = name, 1
        while free in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free)
        self.lines.append(f"{free} = {expression}")
        return free

    def text(self, name: str, parameters: Iterable[str], result: str, doc: str) -> list[str]:
        head = _signature(name, [f"{parameter}: Tensor" for parameter in parameters], result)
        return [*head, *docstring(doc, "    "), *(f"    {line}" for line in self.lines)]


def _signature(name: str, parameters: list[str], result: str) -> list[str]:
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inside = f"    {', '.join(parameters)}"
    listed = [inside] if len(inside) <= WIDTH else [f"    {parameter}," for parameter in parameters]
    return [f"def {name}(", *listed, f") -> {result}:"]


# --- loss ------------------------------------------------------------------------------------------------------


def _loss(plan: TrainPlan, fused: Mapping[int, str]) -> list[str]:
    assert plan.loss is not None  # a recipe with phases is not written yet
    names = argument_names(plan.loss_values())
    function = _Function([*names.values(), *fused.values()])
    classes = [term for term in plan.terms if term.loss.counts_classes]
    masked = _mask(function, [term.true for term in classes if id(term) not in fused], plan.ignored, names)
    terms = _Terms(names, fused, plan.ignored)
    line = f"return {terms.expression(plan.loss)}"
    if len(line) + 4 > WIDTH and len(plan.terms) > 1:
        line = f"return {terms.expression(plan.loss, function)}"
    function.lines += [line] if len(line) + 4 <= WIDTH or len(plan.terms) == 1 else _broken(line)
    some = masked or (fused and _is_other(plan.ignored))
    doc = f"The training loss, a mean over all entries{' that count' if some else ''}."
    return function.text("loss", names.values(), "Tensor", doc)


def _is_other(ignored: Number | None) -> bool:
    """Whether there is a target that does not count beside -100."""
    return ignored is not None and whole(ignored) != -100


def _mask(function: _Function, targets: list[Value], ignored: Number | None, names: dict[str, str]) -> list[str]:
    """Makes -100 of what else does not count; returns the targets in which it did."""
    if ignored is None or not _is_other(ignored):
        return []
    sources = list(dict.fromkeys(t.source for t in targets if t.origin != "constant"))
    for source in sources:
        target, text = names[source], real_text(ignored)
        function.lines.append(
            f"{target} = {target}.masked_fill({target} == {text}, -100)  # {written(ignored)} does not count"
        )
    return sources


class _Terms:
    """The losses as they stand in a formula; `fused` are the functions with kernels, by the identity of the term."""

    def __init__(self, names: dict[str, str], fused: Mapping[int, str], ignored: Number | None) -> None:
        self.names, self.fused = names, fused
        self.ignored = ignored if _is_other(ignored) else None

    def expression(self, objective: Objective, function: _Function | None = None) -> str:
        """The loss as a formula; with a `function` each term is a name that it assigns."""
        match objective:
            case LossTerm(loss=loss):
                text = str(self._call(objective))
                return text if function is None else function.assign(loss.word, text)
            case Scaled(factor=factor, of=of, divides=divides):
                inner, number = self.expression(of, function), _factor(factor)
                inner = f"({inner})" if isinstance(of, Sum) or (isinstance(of, Scaled) and not divides) else inner
                return f"{inner} / {number}" if divides else f"{number} * {inner}"
            case Sum(operator=operator, left=left, right=right):
                first, second = self.expression(left, function), self.expression(right, function)
                return f"{first} {operator} {f'({second})' if isinstance(right, Sum) else second}"

    def _call(self, term: LossTerm) -> Call:
        operands = [_operand(value, self.names) for value in term.values]
        if id(term) in self.fused and isinstance(term.loss, CrossEntropy):
            return term.loss.fused(operands, self.fused[id(term)], self.ignored)
        return term.loss.code(operands)


def _factor(n: Number) -> str:
    text = real_text(n)
    return text if re.fullmatch(r"-?[\w.]+(-\d+)?", text) else f"({text})"


def _operand(value: Value, names: dict[str, str]) -> Operand:
    return Operand(value, names.get(value.source, ""))


def _broken(line: str) -> list[str]:
    """A sum that is too long, an operand a line."""
    operands, depth = [""], 0
    for word in line.removeprefix("return ").split(" "):
        if depth == 0 and word in ("+", "-"):
            operands.append("")
        operands[-1] += f" {word}"
        depth += word.count("(") - word.count(")")
    return ["return (", *(f"   {operand}" for operand in operands), ")"]


# --- metrics ---------------------------------------------------------------------------------------------------


def _metrics(plan: TrainPlan) -> list[str]:
    names = argument_names(plan.metric_values())
    function = _Function(names.values())
    lost = {term.true.source for term in plan.terms if term.loss.counts_classes}
    classes = [m.true for m in plan.metrics if m.metric.counts_classes and m.true.source in lost]
    masked = _mask(function, classes, plan.ignored, names)
    masks: dict[str, str] = {}
    entries: list[str] = []
    for measured in plan.metrics:
        said, true = _operand(measured.said, names), _operand(measured.true, names)
        counted = None
        if measured.metric.masks and (measured.true.partial or measured.true.source in masked):
            if true.text not in masks:
                masks[true.text] = function.assign("counted", f"{true.text} != -100")
            counted = masks[true.text]
        value = measured.metric.code(said, true, counted, function)
        entry = f'"{measured.name}": {value}'
        if len(entry) + 9 > WIDTH:
            entry = f'"{measured.name}": {function.assign(measured.name, value)}'
        entries.append(entry)
    line = f"return {{{', '.join(entries)}}}"
    if len(entries) == 1 and len(line) + 4 <= WIDTH:
        function.lines.append(line)
    else:
        function.lines += ["return {", *(f"    {entry}," for entry in entries), "}"]
    doc = f"What is measured beside the loss, each a mean over all entries{' that count' if masks else ''}."
    after = [m for m in plan.metrics if m.metric.after == "exp"]
    if after:
        doc = f"{doc.removesuffix('.')}; {after[0].name} is the exponential of the last mean."
    return function.text("metrics", names.values(), "dict[str, Tensor]", doc)


# --- optimizer -------------------------------------------------------------------------------------------------


def _parameter_groups(optimizer: Optimizer) -> list[str]:
    head = "def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:"
    decay = real_text(optimizer.decay)
    trained = "p for p in model.parameters() if p.requires_grad"
    if real(optimizer.decay) == 0:
        # PyTorch's AdamW decays unless it is told not to.
        none = ', "weight_decay": 0.0' if optimizer.decays_unasked else ""
        doc = '    """All parameters in one group, without weight decay."""'
        return [head, doc, f"    parameters = [{trained}]", f'    return [{{"params": parameters{none}}}]']
    if optimizer.decay_on == "all":
        doc = '    """All parameters in one group: weight decay acts on each of them."""'
        lines = [f"    parameters = [{trained}]", f'    return [{{"params": parameters, "weight_decay": {decay}}}]']
        return [head, doc, *lines]
    return [
        head,
        '    """Weight decay acts on matrices only: not on biases, gains and other vectors."""',
        f"    parameters = [{trained}]",
        "    return [",
        f'        {{"params": [p for p in parameters if p.ndim >= 2], "weight_decay": {decay}}},',
        '        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},',
        "    ]",
    ]


def _optimizer(optimizer: Optimizer) -> list[str]:
    kind, options = optimizer.constructor()
    arguments = ", ".join(["parameter_groups(model)", f"lr={real_text(optimizer.lr)}", *options])
    head = "def optimizer(model: nn.Module) -> torch.optim.Optimizer:"
    return [head, f"    return torch.optim.{kind}({arguments})"]
