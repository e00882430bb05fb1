"""What a training makes small, as functions of a recipe: each loss, what it calls, and what it keeps from batch to
batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...semantics.number import Number
from ...training.arguments import argument_names
from ...training.losses.cross_entropy import CrossEntropy
from ...training.measure import Operand, Value
from ...training.objective import LossTerm, Objective, Scaled, Sum, terms
from ...training.spelling import real_text
from .function import Definitions, Function
from .ignored import is_other, mask_ignored
from .layout import WIDTH


def write_losses(
    objectives: Mapping[str, Objective], ignored: Number | None, fused: Mapping[int, str]
) -> list[list[str]]:
    """The functions, as lines each. `objectives` are by the names of their functions; `fused` are functions with
    kernels that stand for losses, by the identity of the term."""
    definitions = Definitions()
    states: dict[str, str] = {}
    for term in (term for objective in objectives.values() for term in terms(objective)):
        state = term.loss.state(term.values)
        if state is not None:
            name, made, lines = state
            definitions.add(made.split("(")[0], lines)
            states[name] = made
    written = [_loss(name, one, ignored, fused, definitions) for name, one in objectives.items()]
    return [*definitions.texts, *([_state(states)] if states else []), *written]


def _state(states: Mapping[str, str]) -> list[str]:
    entries = ", ".join(f'"{name}": {made}' for name, made in states.items())
    return [
        "def loss_state() -> nn.ModuleDict:",
        '    """What the loss keeps from batch to batch."""',
        f"    return nn.ModuleDict({{{entries}}})",
    ]


def _loss(
    name: str, objective: Objective, ignored: Number | None, fused: Mapping[int, str], definitions: Definitions
) -> list[str]:
    found = list(terms(objective))
    values = [value for term in found for value in term.values]
    names = argument_names(values)
    function = Function([*names.values(), *fused.values()], definitions)
    plain = [term for term in found if id(term) not in fused]
    masked = mask_ignored(function, [term.true for term in plain if term.asks_class], ignored, names)
    other = ignored if is_other(ignored) else None
    texts = {id(term): _term(term, names, fused, other, function) for term in found}
    line = f"return {_expression(objective, texts)}"
    if len(line) + 4 > WIDTH and len(found) > 1:
        for term in found:
            if not texts[id(term)].isidentifier():
                texts[id(term)] = function.assign(_called(term, found), texts[id(term)])
        line = f"return {_expression(objective, texts)}"
    function.lines += [line] if len(line) + 4 <= WIDTH or len(found) == 1 else _broken(line)
    parameters = list(dict.fromkeys(_parameter(value, names) for value in values if value.source in names))
    masks = bool(masked) or (bool(fused) and other is not None)
    phase = name.removesuffix("loss").removesuffix("_")
    what = f"The loss of the phase `{phase}`" if phase else "The training loss"
    return function.text(name, parameters, "Tensor", _doc(what, found, masks))


def _called(term: LossTerm, found: list[LossTerm]) -> str:
    """The name of a part of the loss: that of its kind, or of several that of what each is about."""
    about = [other.said.name for other in found if other.loss.word == term.loss.word]
    return f"{term.said.name}_loss" if len(about) == len(set(about)) > 1 else term.loss.word


def _doc(what: str, found: list[LossTerm], masked: bool) -> str:
    if not all(term.loss.over_entries for term in found):
        return f"{what}."
    return f"{what}, a mean over all entries{' that count' if masked else ''}."


def _parameter(value: Value, names: Mapping[str, str]) -> str:
    kind = {"model": ": nn.Module", "state": ": Queue"}.get(value.origin, "")
    return f"{names[value.source]}{kind}"


def _term(
    term: LossTerm, names: Mapping[str, str], fused: Mapping[int, str], ignored: Number | None, function: Function
) -> str:
    operands = [Operand(value, names.get(value.source, "")) for value in term.values]
    if id(term) in fused and isinstance(term.loss, CrossEntropy):
        return term.loss.fused(operands, fused[id(term)], ignored, function)
    return term.loss.code(operands, function)


def _expression(objective: Objective, texts: Mapping[int, str]) -> str:
    """The loss as a formula of its terms, `texts` by their identity."""
    match objective:
        case LossTerm():
            return texts[id(objective)]
        case Scaled(factor=factor, of=of, divides=divides):
            inner, number = _expression(of, texts), _factor(factor)
            inner = f"({inner})" if _is_sum(inner) or (isinstance(of, Scaled) and not divides) else inner
            return f"{inner} / {number}" if divides else f"{number} * {inner}"
        case Sum(operator=operator, left=left, right=right):
            first, second = _expression(left, texts), _expression(right, texts)
            return f"{first} {operator} {f'({second})' if _is_sum(second) else second}"


def _factor(n: Number) -> str:
    text = real_text(n)
    return text if re.fullmatch(r"-?[\w.]+(-\d+)?", text) else f"({text})"


def _is_sum(text: str) -> bool:
    return len(list(_operands(text))) > 1


def _operands(text: str) -> Iterator[str]:
    """What `+` and `-` outside brackets part, each but the first with its operator."""
    operand, depth = "", 0
    for word in text.split(" "):
        if depth == 0 and word in ("+", "-"):
            yield operand
            operand = ""
        operand += f" {word}" if operand else word
        depth += sum(map(word.count, "([{")) - sum(map(word.count, ")]}"))
    yield operand


def _broken(line: str) -> list[str]:
    """A sum that is too long, an operand a line."""
    return ["return (", *(f"    {operand}" for operand in _operands(line.removeprefix("return "))), ")"]
