"""A unit as a class: arguments, modules, forward, initial weights, ties."""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.graph import (
    Copies,
    Experts,
    LayerModule,
    Module,
    Momentum,
    Residual,
    Unit,
    UnitModule,
    Value,
    all_nodes,
    layer_around,
)
from ...ir.units import made_of
from ...ir.view import view
from ...ir.weights import module_weights, unit_weights
from ...semantics.number import Reference, is_whole
from .class_code import ClassCode, ForwardCode, argument_names
from .construct import ClassText, construct
from .experts import FORGET_BALANCE
from .file import FileText
from .following import write_update_copies
from .forward import write_forward
from .initial import (
    init_bias_source,
)
from .lending import Lent, attribute, lent_to, ties, tying
from .names import item_name, safe_name


def _order(argument: Reference) -> tuple[int, int]:
    """What comes in, then the parameters as the block has them, then the index of a copy; the rest by its first use."""
    kinds = ("dim", "open", "parameter", "index")
    return kinds.index(argument.kind), argument.place


def write_class(
    unit: Unit, name: str, inner: dict[Unit, ClassText], file: FileText, doc: str, *, dims_as_arguments: bool = False
) -> ClassText:
    """The class of a unit whose inner units have their classes already."""
    code = ClassCode(file, unit, dims_as_arguments)
    within = _by_layer_around(unit)
    make = [line for module in within.get("", ()) for line in construct(module, within, inner, code)]
    tied = [f"{weight} = {parameter}" for weight, parameter in ties(unit)]
    names, lent = input_names(unit), lent_to(unit)
    running = ForwardCode(code, names)
    forward = write_forward(unit, names, lent, running)
    forward = [*_beginning(unit, running), *forward]
    fill = [line for module in unit.modules for line in _initialise(module, inner, running)]
    fill += _shrink(unit, running)
    views = [part for view in _views(unit, running, names, lent) for part in ("", *view)]
    following = [] if file.exporting else write_update_copies(unit, running)
    if not dims_as_arguments and len({a.name for a in code.arguments}) < len(code.arguments):
        # A parameter of the caller is called like one of its own: `width` inside a `width`.
        return write_class(unit, name, inner, file, doc, dims_as_arguments=True)
    takes_config = code.uses_config or any(inner[u].takes_config for m in unit.modules for u in made_of(m))
    is_model = unit.kind == "model"

    arguments = ["self"]
    if takes_config:
        arguments.append("config: Config = Config()" if is_model else "config: Config")
    named = dict(zip(code.arguments, argument_names(code.arguments), strict=True))
    given = {argument: named[argument] for argument in sorted(code.arguments, key=_order)}
    arguments += [f"{name}: {'int' if is_whole(argument) else 'float'}" for argument, name in given.items()]
    lines = [f"class {name}(nn.Module):", *([f'    """{doc}"""', ""] if doc else [])]
    lines += [f"    def __init__({', '.join(arguments)}) -> None:", "        super().__init__()"]
    lines += [f"        self.{name} = {value}" for value, name in running.attributes.items()]
    lines += [f"        {line}" for line in make]
    if tied:
        lines.append("        self.tie_weights()")
    lines += ["", *_method("forward", unit, names, lent, forward), *views]
    if tied:
        lines += _tie_method(tied)
    lines += following
    if fill or tied or is_model:
        lines += _init_method(fill, ties=bool(tied), is_model=is_model)
    return ClassText(name, "\n".join(lines), given, takes_config, bool(fill or tied))


def _method(name: str, unit: Unit, names: dict[Value, str], lent: dict[Lent, str], body: list[str]) -> list[str]:
    handed = [f"{name}: nn.Module" for name in lent.values()]
    parameters = ", ".join([*(f"{names[value]}: {_kind(value, unit)}" for value in unit.inputs), *handed])
    result = "Tensor" if len(unit.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(unit.outputs))}]"
    return [f"    def {name}(self, {parameters}) -> {result}:", *(f"        {line}".rstrip() for line in body)]


def _beginning(unit: Unit, code: ForwardCode) -> list[str]:
    """What a `forward` does before anything else."""
    file = code.made.file
    lines = [f"{name} = {size}" for size, name in code.sizes.items()]
    if unit.kind == "model" and file.balance is not None and file.balance.adds_up:
        file.functions["forget_balance"] = FORGET_BALANCE
        return ["forget_balance(self)", *lines]
    return lines


def _views(unit: Unit, running: ForwardCode, names: dict[Value, str], lent: dict[Lent, str]) -> Iterator[list[str]]:
    """The methods that give some of a model's outputs."""
    for name, places in running.made.file.views.items() if unit.kind == "model" else ():
        part = view(unit, places)
        code = ForwardCode(running.made, names, running.attributes)
        body = write_forward(part, names, lent, code)
        body = [*_beginning(unit, code), *body]
        given = " and ".join(unit.outputs[place].name or "" for place in places)
        doc = f'"""What the phase `{name.removeprefix("forward_")}` asks for: {given}."""'
        yield _method(name, part, names, lent, [doc, *body])


def _kind(value: Value, unit: Unit) -> str:
    if value not in unit.optional:
        return "Tensor"
    return "Tensor | None = None" if unit.kind == "model" else "Tensor | None"


def _shrink(unit: Unit, code: ForwardCode) -> list[str]:
    """DeepNorm's smaller initial weights: all matrices of a branch but those of queries and keys."""
    lines: list[str] = []
    for node in all_nodes(unit.nodes):
        if isinstance(node.op, Residual) and node.op.shrink is not None:
            names = dict.fromkeys(n.module for n in all_nodes(node.op.branch.nodes) if n.module)
            keys = [key for name in names for key in _matrices(unit.module(name))]
            weights = ", ".join(f"self{attribute(key.split('.'))}" for key in keys)
            lines += [f"for weight in [{weights}]:", f"    weight.mul_({code.number(node.op.shrink)})"] if keys else []
    return lines


def _matrices(module: Module) -> list[str]:
    match module:
        case LayerModule():
            found = list(module_weights(module, ""))
        case UnitModule(name=name, unit=inner):
            found = list(unit_weights(inner, f"{name}."))
        case Copies(name=name, units=units):
            found = [w for i, inner in enumerate(units) for w in unit_weights(inner, f"{name}.{i}.")]
        case _:
            found = []
    own = [w.key for w in found if not w.shared and len(w.shape) > 1]
    return [key for key in own if not key.endswith((".q.weight", ".k.weight"))]


def _tie_method(ties: list[str]) -> list[str]:
    return [
        "",
        "    def tie_weights(self) -> None:",
        '        """Make tied weights one tensor, also where `to_empty` has parted them."""',
        *(f"        {line}" for line in ties),
    ]


def _init_method(fill: list[str], *, ties: bool, is_model: bool) -> list[str]:
    body = [*(["self.tie_weights()"] if ties else []), *fill]
    if is_model:
        head = [
            "    @torch.no_grad()",
            "    def init_weights(self, generator: torch.Generator | None = None) -> None:",
            '        """Draw the initial weights, in the order of the spec."""',
        ]
    else:
        head = ["    def init_weights(self, generator: torch.Generator | None) -> None:"]
    return ["", *head, *(f"        {line}" for line in body)]


def input_names(unit: Unit) -> dict[Value, str]:
    """The parameters of `forward`: ports under their names, else `x`, then `h`, ..."""
    names: dict[Value, str] = {}
    fresh = iter(("x", "h", "y", "z", *(f"x{i}" for i in range(2, 99))))
    taken = {safe_name(value.name) for value in unit.inputs if value.name}
    for value in unit.inputs:
        name = safe_name(value.name) if value.name else next(n for n in fresh if n not in taken)
        while name in names.values():
            name += "_"
        names[value] = name
    return names


def _by_layer_around(unit: Unit) -> dict[str, list[Module]]:
    """The modules of a unit by the layer that they lie inside; those of its body under the empty name."""
    found: dict[str, list[Module]] = {}
    for module in unit.modules:
        found.setdefault(layer_around(module), []).append(module)
    return found


def _initialise(module: Module, inner: dict[Unit, ClassText], code: ForwardCode) -> list[str]:
    match module:
        case LayerModule(name=name, layer=layer, inputs=inputs, tie=tie):
            if tie is not None:
                if "bias" not in layer.parameters(inputs[0]):
                    return []
                file = code.made.file
                file.functions["init_bias"] = init_bias_source(file.scheme)
                return [f"init_bias(self.{name}, generator)"]
            return layer.initialise(f"self.{name}", inputs[0], code)
        case UnitModule(name=name, unit=unit):
            return [f"self.{name}.init_weights(generator)"] if inner[unit].initialises else []
        case Copies(name=name, units=units):
            drawn = [i for i, unit in enumerate(units) if inner[unit].initialises]
            item = item_name(module)
            if len(drawn) == len(units):
                return [f"for {item} in self.{name}:", f"    {item}.init_weights(generator)"]
            return [f"self.{name}[{i}].init_weights(generator)" for i in drawn]
        case Experts(name=name):
            return [f"self.{name}.init_weights(generator)"]
        case Momentum(name=name, of=of):
            tied = [] if isinstance(of, LayerModule) else [f"{place}.tie_weights()" for place in tying(of.unit, name)]
            return [*(f"self.{line}" for line in tied), f"self.{name}.load_state_dict(self.{of.name}.state_dict())"]
    return []
