"""Two models, module by module: what each has under the same key of the checkpoint, and what flows between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TypeAlias

from ..ir.graph import (
    Apply,
    Borrowed,
    Call,
    Copies,
    Experts,
    Graph,
    LayerModule,
    Loop,
    Module,
    Momentum,
    Node,
    Pointwise,
    Unit,
    UnitModule,
)
from ..ir.text import layer_text
from ..ir.weights import module_weights, weights
from ..layers.base import Layer
from ..semantics.number import Number, whole
from ..semantics.tensor import Tensor
from .arguments import arguments
from .change import Change, turned
from .placement import every_node, residuals
from .signature import same_function
from .values import as_written, meaning, number_text, shown

STRUCTURAL = frozenset({"added", "removed", "renamed", "placement", "type", "copies", "tie", "function"})
"""Kinds of changes with which the wiring is another one anyway."""

_Token: TypeAlias = tuple[object, str, bool]


def compare_models(a: Graph, b: Graph) -> list[Change]:
    """All differences of two models, in the order of the page."""
    owner = b.model.name
    found = [*_name(a, b), *_ports(a, b), *_Comparison(owner).unit(a.model, b.model, "")]
    if not any(c.section == "model" and c.kind in STRUCTURAL for c in found):
        plain = not any(c.section == "model" for c in found)
        if not same_function(a, b, figures=plain):
            text = "the same modules, wired in another way"
            found.append(Change("model", owner, "", "wiring", None, None, text))
        elif [w.key for w in weights(a)] != [w.key for w in weights(b)]:
            text = "weights are drawn in another order: the same seed starts from others"
            found.append(Change("model", owner, "", "order", None, None, text))
    return found


def _name(a: Graph, b: Graph) -> Iterator[Change]:
    if a.model.name != b.model.name:
        yield turned("model", b.model.name, "", "name", a.model.name, b.model.name)


def _ports(a: Graph, b: Graph) -> Iterator[Change]:
    """Inputs and outputs by their place; how large an open dim may get."""
    owner = b.model.name
    sides = (
        ([v.name or "" for v in g.model.inputs], [v.type for v in g.model.inputs], list(g.outputs), g) for g in (a, b)
    )
    (in_a, types_a, out_a, _), (in_b, types_b, out_b, _) = sides
    ends_a = [*zip(in_a, types_a, strict=True)], [*zip(out_a, (v.type for v in a.model.outputs), strict=True)]
    ends_b = [*zip(in_b, types_b, strict=True)], [*zip(out_b, (v.type for v in b.model.outputs), strict=True)]
    for what, one, other in zip(("input", "output"), ends_a, ends_b, strict=True):
        for before, after in zip_longest(one, other):
            if before is None:
                yield Change("ports", owner, after[0], "added", None, str(after[1]), f"{what} added: {after[1]}")
            elif after is None:
                yield Change("ports", owner, before[0], "removed", str(before[1]), None, f"{what} removed")
            else:
                if before[0] != after[0]:
                    yield turned("ports", owner, what, "name", before[0], after[0])
                if meaning(before[1]) != meaning(after[1]):
                    same = str(before[1]) == str(after[1])
                    yield turned("ports", owner, after[0], "type", _type(before[1]), _type(after[1]), follows=same)
    for name in sorted({*a.limits, *b.limits, *a.least, *b.least}):
        (before, *one), (after, *other) = _sizes(a, name), _sizes(b, name)
        if list(map(meaning, one)) != list(map(meaning, other)):
            same = all(
                x is not None and y is not None and as_written(x) == as_written(y)
                for x, y in zip(one, other, strict=False)
            )
            yield turned("ports", owner, name, "value", before, after, follows=same)


def _sizes(graph: Graph, name: str) -> tuple[str, Number | None, Number | None]:
    """How large an open dim may be, in words; its least and its largest value."""
    least, most = graph.least.get(name), graph.limits.get(name)
    match least, most:
        case None, None:
            text = "any size"
        case None, _:
            text = f"at most {number_text(most)}"
        case _, None:
            text = f"at least {number_text(least)}"
        case _:
            text = f"{number_text(least)} to {number_text(most)}"
    return text, least, most


def _type(type_: object) -> str:
    """A type with its known dims as numbers."""
    if not isinstance(type_, Tensor):
        return str(type_)
    kind = "" if type_.dtype == "float" else type_.dtype
    return f"{kind}[{', '.join(number_text(d).rpartition('= ')[2] for d in type_.dims)}]"


class _Comparison:
    def __init__(self, owner: str) -> None:
        self.owner = owner

    def unit(self, a: Unit, b: Unit, path: str) -> Iterator[Change]:
        """Differences of two units that stand at the same place."""
        yield from self._residuals(a, b, path)
        pairs, removed, added = _pairs(a, b)
        for one, other in pairs:
            if one.name != other.name and any(_named_shapes(one, "")):
                yield self._turned(f"{path}{other.name}", "renamed", one.name, other.name)
            yield from self._module(one, other, f"{path}{other.name}")
        for one in removed:
            yield self._alone("removed", f"{path}{one.name}", one)
        for other in added:
            yield self._alone("added", f"{path}{other.name}", other)
        yield from self._functions(a, b, path, {one.name: other.name for one, other in pairs})

    # --- modules ---------------------------------------------------------------------------------------------------

    def _module(self, a: Module, b: Module, path: str) -> Iterator[Change]:
        match a, b:
            case LayerModule(), LayerModule():
                yield from self._layer(a, b, path)
            case UnitModule(), UnitModule():
                yield from self._arguments(a.unit, b.unit, path)
                yield from self.unit(a.unit, b.unit, f"{path}.")
            case Copies(), Copies():
                yield from self._copies(a, b, path)
            case Experts(), Experts():
                yield from self._experts(a, b, path)
            case Momentum(), Momentum():
                yield from self._momentum(a, b, path)
            case Borrowed(), Borrowed():
                if (a.path, a.up) != (b.path, b.up):
                    yield self._turned(path, "option", f"the module {'.'.join(a.path)}", ".".join(b.path))
            case _:
                yield self._turned(path, "type", _what(a), _what(b))

    def _arguments(self, a: Unit, b: Unit, path: str) -> Iterator[Change]:
        """What a block is given, of which its layers say `hidden` on both sides."""
        one, other = arguments(a), arguments(b)
        for name in [name for name in one if name in other]:
            before, after = one[name], other[name]
            if meaning(before) != meaning(after):
                same = as_written(before) == as_written(after)
                told = turned("model", self.owner, path, "option", shown(before), shown(after), same)
                yield Change(**{**vars(told), "text": f"{b.name}: {name} = {told.text}"})

    def _layer(self, a: LayerModule, b: LayerModule, path: str) -> Iterator[Change]:
        if a.layer.word != b.layer.word:
            yield self._turned(path, "type", layer_text(a.layer), layer_text(b.layer))
            return
        told = False
        for change in self._options(a.layer, b.layer, path):
            told = True
            yield change
        one, other = _shapes(a), _shapes(b)
        if one != other and not told:
            for key in sorted({*one, *other}):
                before, after = one.get(key), other.get(key)
                if before != after:
                    sides = (str(list(shape)) if shape is not None else "none" for shape in (before, after))
                    yield self._turned(f"{path}.{key}", "shape", *sides, follows=True)
        if meaning(a.tie) != meaning(b.tie):
            before, after = ("a weight of its own" if m.tie is None else f"the weight of {_tied(m)}" for m in (a, b))
            yield self._turned(path, "tie", before, after)

    def _options(self, a: Layer, b: Layer, path: str) -> Iterator[Change]:
        for name in a.options:
            before, after = getattr(a, name), getattr(b, name)
            if meaning(before) != meaning(after):
                same = as_written(before) == as_written(after)
                told = turned("model", self.owner, path, "option", shown(before), shown(after), same)
                yield Change(**{**vars(told), "text": f"{a.word}: {name} = {told.text}"})

    def _copies(self, a: Copies, b: Copies, path: str) -> Iterator[Change]:
        if len(a.units) != len(b.units):
            yield self._turned(path, "copies", f"{len(a.units):,}", f"{len(b.units):,} copies")
        known: dict[tuple[int, int], list[Change]] = {}
        for i, (one, other) in enumerate(zip(a.units, b.units, strict=False)):
            key = (id(one), id(other))
            if key not in known:
                known[key] = list(self.unit(one, other, ""))
            for change in known[key]:
                place = f"{path}.{i}.{change.place}".rstrip(".")
                yield Change(**{**vars(change), "place": place})

    def _experts(self, a: Experts, b: Experts, path: str) -> Iterator[Change]:
        if len(a.units) != len(b.units):
            yield self._turned(path, "copies", f"{len(a.units):,}", f"{len(b.units):,} experts")
        for name in ("top", "balance"):
            before, after = getattr(a, name), getattr(b, name)
            if meaning(before) != meaning(after):
                yield self._turned(path, "option", f"experts: {name} = {shown(before)}", shown(after))
        yield from self._module(a.router, b.router, f"{path}.router")
        for i, (one, other) in enumerate(zip(a.units, b.units, strict=False)):
            yield from self.unit(one, other, f"{path}.experts.{i}.")

    def _momentum(self, a: Momentum, b: Momentum, path: str) -> Iterator[Change]:
        if a.of.name != b.of.name:
            yield self._turned(path, "option", f"momentum_copy of {a.of.name}", b.of.name)
        if meaning(a.rate) != meaning(b.rate):
            yield self._turned(path, "option", f"momentum_copy: {shown(a.rate)}", shown(b.rate))

    def _alone(self, kind: str, path: str, module: Module) -> Change:
        count = sum(_count(shape) for _, shape in _named_shapes(module, ""))
        size = f", {count:,} parameters" if count else ""
        before, after = (None, _what(module)) if kind == "added" else (_what(module), None)
        text = f"{kind}: {_what(module)}{size}"
        return Change("model", self.owner, path, kind, before, after, text)  # type: ignore[arg-type]  one of two words

    # --- residuals and functions -----------------------------------------------------------------------------------

    def _residuals(self, a: Unit, b: Unit, path: str) -> Iterator[Change]:
        one, other = residuals(a), residuals(b)
        if len(one) != len(other):
            return  # the modules that came or went say so
        for i, ((before, _), (after, _)) in enumerate(zip(one, other, strict=True)):
            place = f"{path}{after.label or f'residual {i + 1}'}"
            if tuple(before.norms) != tuple(after.norms):
                yield self._placed(place, before.words, after.words)
            for name in sorted({*before.others, *after.others}):
                if before.others.get(name) != after.others.get(name):
                    yield self._turned(
                        place,
                        "option",
                        f"residual: {name} = {before.others.get(name, 'none')}",
                        after.others.get(name, "none"),
                    )

    def _placed(self, place: str, before: str, after: str) -> Change:
        short = before.removesuffix(" norm")
        return Change("model", self.owner, place, "placement", before, after, f"{short} -> {after}")

    def _functions(self, a: Unit, b: Unit, path: str, renamed: dict[str, str]) -> Iterator[Change]:
        """Functions and signs between the modules, in the order of the page; norms of residuals are told above."""
        norms = [set().union(*(names for _, names in residuals(unit))) for unit in (a, b)]
        one = [_token(node, norms[0], renamed) for node in every_node(a.nodes)]
        other = [_token(node, norms[1], {}) for node in every_node(b.nodes)]
        left, right = ([token for token in tokens if token is not None] for tokens in (one, other))
        matcher = SequenceMatcher(None, _keys(left), _keys(right), autojunk=False)
        for tag, i, j, k, m in matcher.get_opcodes():
            if tag == "equal":
                continue
            before = [text for _, text, is_function in left[i:j] if is_function]
            after = [text for _, text, is_function in right[k:m] if is_function]
            if before == after:
                continue
            behind = next((text for _, text, is_function in reversed(right[:k]) if not is_function), "")
            place = f"{path}{behind}" if behind else path.rstrip(".")
            if before and after:
                yield self._turned(place, "function", ", ".join(before), ", ".join(after))
            elif after:
                yield Change(
                    "model", self.owner, place, "function", None, ", ".join(after), f"added: {', '.join(after)}"
                )
            else:
                text = f"removed: {', '.join(before)}"
                yield Change("model", self.owner, place, "function", ", ".join(before), None, text)

    def _turned(self, place: str, kind: str, before: str, after: str, *, follows: bool = False) -> Change:
        return turned("model", self.owner, place, kind, before, after, follows)  # type: ignore[arg-type]  words of Kind


def _pairs(a: Unit, b: Unit) -> tuple[list[tuple[Module, Module]], list[Module], list[Module]]:
    """Modules that correspond, those that went, those that came. A name that is new goes with a name that is gone where
    both hold the same, in the order of the page, or are called after such."""
    theirs = {module.name: module for module in b.modules}
    pairs = [(module, theirs.pop(module.name)) for module in a.modules if module.name in theirs]
    taken = {one.name for one, _ in pairs}
    removed = [module for module in a.modules if module.name not in taken]
    added = list(theirs.values())
    for goes_with in (_holds_the_same, _is_called_after(pairs)):
        for one in list(removed):
            other = next((other for other in added if goes_with(one, other)), None)
            if other is not None:
                pairs.append((one, other))
                removed.remove(one)
                added.remove(other)
    return pairs, removed, added


def _holds_the_same(a: Module, b: Module) -> bool:
    return _look(a) == _look(b)


def _is_called_after(pairs: list[tuple[Module, Module]]) -> Callable[[Module, Module], bool]:
    """Whether two are called after modules that correspond: the norm of a residual after what it is the norm of."""

    def goes_with(a: Module, b: Module) -> bool:
        return any(
            a.name.startswith(f"{one.name}_") and b.name == other.name + a.name.removeprefix(one.name)
            for one, other in pairs
        )

    return goes_with


def _look(module: Module) -> object:
    word = module.layer.word if isinstance(module, LayerModule) else type(module).__name__
    return word, tuple(_named_shapes(module, ""))


def _named_shapes(module: Module, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The weights in a module by their keys below it."""
    match module:
        case LayerModule():
            for weight in module_weights(module, ""):
                if not weight.shared:
                    yield f"{prefix}{weight.key.partition('.')[2]}", weight.shape
        case UnitModule(unit=unit):
            yield from _unit_shapes(unit, prefix)
        case Copies(units=units):
            for i, unit in enumerate(units):
                yield from _unit_shapes(unit, f"{prefix}{i}.")
        case Experts(router=router, units=units):
            yield from _named_shapes(router, f"{prefix}router.")
            for i, unit in enumerate(units):
                yield from _unit_shapes(unit, f"{prefix}experts.{i}.")


def _unit_shapes(unit: Unit, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for module in unit.modules:
        yield from _named_shapes(module, f"{prefix}{module.name}.")


def _shapes(module: LayerModule) -> dict[str, tuple[int, ...]]:
    found = module.layer.parameters(module.inputs[0])
    return {key: tuple(map(whole, parameter.dims)) for key, parameter in found.items()}


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count


def _what(module: Module) -> str:
    match module:
        case LayerModule(layer=layer):
            return layer_text(layer)
        case UnitModule(unit=unit):
            return unit.name
        case Copies(units=units):
            return f"repeat({len(units)})"
        case Experts(units=units):
            return f"experts({len(units)})"
    return type(module).__name__.lower()


def _tied(module: LayerModule) -> str:
    return ".".join(module.tie.path) if module.tie is not None else ""


def _keys(tokens: list[_Token]) -> list[object]:
    """What tokens are matched by: functions together with the module behind which they stand, which is but one."""
    keys: list[object] = []
    behind = ""
    for key, text, is_function in tokens:
        behind = behind if is_function else text
        keys.append((key, behind))
    return keys


def _token(node: Node, norms: set[str], renamed: dict[str, str]) -> _Token | None:
    """What a node is compared by, how it is shown, and whether it is a function. None for what is told elsewhere."""
    if node.module is not None:
        name = renamed.get(node.module, node.module)
        return None if node.module in norms else (("module", name), name, False)
    match node.op:
        case Call(function=function, arguments=arguments):
            numbers = ", ".join(shown(n) for n in arguments if n is not None)
            return ("call", meaning(function), meaning(arguments)), f"{function.name}({numbers})", True
        case Apply(layer=layer):
            return ("function", meaning(layer)), layer_text(layer), True
        case Pointwise(operator=operator, left=left, right=right):
            sides = "".join(f" {shown(side)}" for side in (left, right) if side is not None)
            return (operator, meaning(left), meaning(right)), f"{operator}{sides}", True
        case Loop(count=count):
            return ("share", meaning(count)), f"share({shown(count)})", True
    return (type(node.op).__name__,), type(node.op).__name__.lower(), True
