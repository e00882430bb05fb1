"""A unit as a class: arguments, modules, forward, initial weights, ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...build.labels import TAKEN
from ...ir.graph import Copies, Experts, LayerModule, Module, Momentum, Residual, Unit, UnitModule, Value, layer_around
from ...ir.weights import module_weights, unit_weights
from ...layers.base import Code, Layer
from ...layers.held import Held
from ...scalars.expression import ScalarFunction
from ...semantics.number import Number, Reference, is_whole, outward, real, references
from ...semantics.tensor import Tensor
from .experts import FORGET_BALANCE, construct_experts
from .file import FileText, python
from .following import write_update_copies
from .forward import Forward, ForwardText
from .initial import (
    INIT_AS_MADE,
    init_bias_source,
    init_conv_source,
    init_linear_source,
    init_recurrent_source,
    init_table_lines,
    init_vector_lines,
)
from .lending import Lent, attribute, lent_to, ties, tying
from .names import item_name, numbered_names, safe_name
from .places import first_weight, size_text
from .reads import all_nodes, named_values
from .views import view


@dataclass
class ClassText:
    """A class as it will stand in the file. `arguments` are the numbers its maker hands in besides `config`, with the
    names that they have in the class, in its order of them."""

    name: str
    source: str
    arguments: dict[Reference, str]
    takes_config: bool
    initialises: bool


@dataclass
class ClassCode(Code):
    """What layers ask of the class they are written into (see `layers.base.Code`).

    `dims_as_arguments`: a block's input dims become arguments of its class instead of what its one caller gave.
    """

    file: FileText
    unit: Unit
    dims_as_arguments: bool = False
    arguments: list[Reference] = field(default_factory=list)
    uses_config: bool = False
    holding: Sequence[Held] = ()
    """What was made in the arguments of the layer that is being constructed."""

    def number(self, n: Number) -> str:
        return python(n, self._name)

    def _name(self, reference: Reference) -> str:
        match reference.kind:
            case "constant":
                self.uses_config = True
                return self.file.constant(reference.name)
            case "dim" if not self.dims_as_arguments and reference.target is not None:
                text = python(reference.target, self._name)
                return text if text.replace(".", "").replace("_", "").isalnum() else f"({text})"
        if reference not in self.arguments:
            self.arguments.append(reference)
        return argument_names(self.arguments)[self.arguments.index(reference)]

    def real(self, n: Number) -> str:
        text = self.number(n)
        if not is_whole(n):
            return text
        return f"float({text})" if any(True for _ in references(n)) else repr(real(n))

    def library(self, name: str, source: str) -> str:
        return self.file.add_library(name, source)

    def imported(self, name: str, module: str) -> str:
        self.file.imported[name] = module
        return name

    def fused(self, layer: Layer, x: Tensor, part: str = "") -> str | None:
        kernels = self.file.kernels
        if kernels is None:
            return None
        from ..triton.choice import NoKernel, variant_for

        try:
            return self.file.add_kernel(kernels.add(variant_for(layer, x, part)), kernels)
        except NoKernel as none:
            kernels.plain[layer.word] = str(none)
            return None

    def init_as_made(self) -> str:
        self.file.functions["init_as_made"] = INIT_AS_MADE
        return "init_as_made"

    def init_linear(self) -> str:
        self.file.functions["init_linear"] = init_linear_source(self.file.scheme)
        return "init_linear"

    def init_conv(self) -> str:
        self.file.functions["init_conv"] = init_conv_source(self.file.scheme)
        return "init_conv"

    def init_recurrent(self) -> str:
        self.file.functions["init_recurrent"] = init_recurrent_source(self.file.scheme)
        return "init_recurrent"

    def init_weight(self, tensor: str) -> list[str]:
        return init_table_lines(self.file.scheme, tensor)

    def init_vector(self, tensor: str) -> list[str]:
        return init_vector_lines(self.file.scheme, tensor)

    def placed_like(self) -> list[str]:
        return []  # where modules are made nothing has come in

    @property
    def held(self) -> Sequence[Held]:
        return self.holding

    @property
    def exporting(self) -> bool:
        return self.file.exporting


@dataclass
class ForwardCode(ForwardText):
    """What layers ask of the `forward` they are called in: numbers with names are kept on `self` by `__init__`.

    A dim that is open until run time is a local of `forward`, under its own name.
    """

    made: ClassCode
    inputs: dict[Value, str]
    """The arguments of `forward`."""
    attributes: dict[str, str] = field(default_factory=dict)
    """What `__init__` works out -> the attribute that holds it."""
    sizes: dict[str, str] = field(default_factory=dict)
    """What `forward` reads off its arguments before anything else -> the local that holds it."""

    def number(self, n: Number) -> str:
        return python(n, self._open_name) if n.value is None else self._kept(self.made.number(n), n)

    def _open_name(self, reference: Reference) -> str:
        if reference.value is not None:
            return self.number(reference)
        there = {value: name for value, name in self.inputs.items() if value not in self.made.unit.optional}
        found = size_text(reference, there)
        if found is None:
            # What is out of reach altogether is told, and shown under its name (`not_emitted`).
            target = reference.target
            return safe_name(reference.name) if target is None else f"({python(target, self._open_name)})"
        if found not in self.sizes:
            taken = {*self.inputs.values(), *map(safe_name, named_values(self.made.unit)), *self.sizes.values()}
            stem = safe_name(reference.name)
            self.sizes[found] = next(name for name in numbered_names(stem) if name not in taken)
        return self.sizes[found]

    def function(self, function: ScalarFunction, tensors: Sequence[str]) -> str:
        return self.made.file.add_function(function, tensors)

    def placed_like(self) -> list[str]:
        """As a float that comes in, or a weight of this unit, is; the dtype of whole numbers says nothing."""
        dtypes = {value: value.type.dtype for value in self.inputs if isinstance(value.type, Tensor)}
        like = next((self.inputs[value] for value, dtype in dtypes.items() if dtype == "float"), None)
        like = like or first_weight(self.made.unit)
        if like is not None:
            return [f"device={like}.device", f"dtype={like}.dtype"]
        return [f"device={name}.device" for name in list(self.inputs.values())[:1]]

    def real(self, n: Number) -> str:
        return self._kept(self.made.real(n), n)

    def _kept(self, text: str, n: Number) -> str:
        if not any(True for _ in references(n)):
            return text
        if text not in self.attributes:
            self.attributes[text] = self._free(n.name if isinstance(n, Reference) else "factor")
        return f"self.{self.attributes[text]}"

    def _free(self, stem: str) -> str:
        taken = {m.name for m in self.made.unit.modules} | set(self.attributes.values()) | TAKEN
        return next(name for name in numbered_names(stem) if name not in taken)

    def library(self, name: str, source: str) -> str:
        return self.made.library(name, source)

    def imported(self, name: str, module: str) -> str:
        return self.made.imported(name, module)

    def fused(self, layer: Layer, x: Tensor, part: str = "") -> str | None:
        return self.made.fused(layer, x, part)

    def init_as_made(self) -> str:
        return self.made.init_as_made()

    def init_linear(self) -> str:
        return self.made.init_linear()

    def init_conv(self) -> str:
        return self.made.init_conv()

    def init_recurrent(self) -> str:
        return self.made.init_recurrent()

    def init_weight(self, tensor: str) -> list[str]:
        return self.made.init_weight(tensor)

    def init_vector(self, tensor: str) -> list[str]:
        return self.made.init_vector(tensor)

    @property
    def held(self) -> Sequence[Held]:
        return self.made.holding

    @property
    def exporting(self) -> bool:
        return self.made.exporting


_IN_CLASSES = frozenset(
    {"self", "config", "super", "nn", "torch", "math", "range", "round", "float", "min", "max", "abs"}
)
"""What the code of a class names itself, so that no argument may hide it."""


def argument_names(references: Sequence[Reference]) -> list[str]:
    """Arguments of a class: a parameter under its own name, a dim of the signature in small letters."""
    names: list[str] = []
    for reference in references:
        name = reference.name.lower()
        stem = f"{name}_" if name in _IN_CLASSES else name
        names.append(next(name for name in numbered_names(stem) if name not in names))
    return names


def _order(argument: Reference) -> tuple[int, int]:
    """What comes in, then the parameters as the block has them, then the index of a copy; the rest by its first use."""
    kinds = ("dim", "open", "parameter", "index")
    return kinds.index(argument.kind), argument.place


def write_class(
    unit: Unit, name: str, inner: dict[Unit, ClassText], file: FileText, doc: str, *, dims_as_arguments: bool = False
) -> ClassText:
    """The class of a unit whose inner units have their classes already."""
    code = ClassCode(file, unit, dims_as_arguments)
    inside = _by_layer_around(unit)
    make = [line for module in inside.get("", ()) for line in _construct(module, inside, inner, code)]
    tied = [f"{weight} = {parameter}" for weight, parameter in ties(unit)]
    names, lent = input_names(unit), lent_to(unit)
    running = ForwardCode(code, names)
    forward = Forward(unit, names, lent, running, item_name).write()
    forward = [*_beginning(unit, running), *forward]
    fill = [line for module in unit.modules for line in _initialise(module, inner, running)]
    fill += _shrink(unit, running)
    views = [part for view in _views(unit, running, names, lent) for part in ("", *view)]
    following = [] if file.exporting else write_update_copies(unit, running)
    if not dims_as_arguments and len({a.name for a in code.arguments}) < len(code.arguments):
        # A parameter of the caller is called like one of its own: `width` inside a `width`.
        return write_class(unit, name, inner, file, doc, dims_as_arguments=True)
    takes_config = code.uses_config or any(inner[u].takes_config for m in unit.modules for u in _units(m))
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
        body = Forward(part, names, lent, code, item_name).write()
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


def _units(module: object) -> tuple[Unit, ...]:
    match module:
        case UnitModule(unit=unit) | Momentum(of=UnitModule(unit=unit)):
            return (unit,)
        case Copies(units=units) | Experts(units=units):
            return units
    return ()


def _by_layer_around(unit: Unit) -> dict[str, list[Module]]:
    """The modules of a unit by the layer that they lie inside; those of its body under the empty name."""
    found: dict[str, list[Module]] = {}
    for module in unit.modules:
        found.setdefault(layer_around(module), []).append(module)
    return found


def _construct(
    module: Module, inside: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode
) -> list[str]:
    made = _made(module, inside, inner, code)
    lines = [] if made is None else [f"self.{module.name} = {made}"]
    if isinstance(module, Momentum) and not code.exporting:
        lines.append(f"self.{module.name}.requires_grad_(False)")
    return lines


def _made(module: Module, inside: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode) -> str | None:
    """The expression that makes a module; None for what is borrowed, which is made elsewhere."""
    match module:
        case LayerModule(name=name, layer=layer, inputs=inputs):
            code.holding = [_held(each, inside, inner, code) for each in inside.get(name, ())]
            made = layer.constructor(inputs[0], code)
            code.holding = ()
            return made
        case Momentum(of=of):
            return _made(of, inside, inner, code)
        case Experts(count=count, units=units):
            made = f"[{_copies(count, units, inner, code)}]"
            return construct_experts(module, made, code, code.file.balance)
        case UnitModule(unit=unit):
            return make_unit(unit, inner, code)
        case Copies(count=count, units=units):
            return f"nn.ModuleList({_copies(count, units, inner, code)})"
    return None


def _held(module: Module, inside: dict[str, list[Module]], inner: dict[Unit, ClassText], code: ClassCode) -> Held:
    made = _made(module, inside, inner, code)
    assert made is not None
    is_tensor = isinstance(module, LayerModule) and "" in module.layer.parameters(module.inputs[0])
    return Held(module.name.rpartition(".")[2], "nn.Parameter" if is_tensor else "nn.Module", made)


def make_unit(unit: Unit, inner: dict[Unit, ClassText], code: ClassCode, index: str = "") -> str:
    """The call that makes a unit's module: `Mlp(config, hidden=4 * config.dim)`.

    `index` is what a copy gets for the index of its repeat: the variable of the comprehension, or a number.
    """
    text = inner[unit]
    arguments = ["config"] if text.takes_config else []
    for argument, name in text.arguments.items():
        if _is_own_index(argument, unit):
            given = index
        else:
            given = code.number(outward(argument, unit.scope))
        arguments.append(f"{name}={given}")
    code.uses_config |= text.takes_config
    return f"{text.name}({', '.join(arguments)})"


def _is_own_index(argument: Reference, unit: Unit) -> bool:
    return argument.kind == "index" and argument.owner == unit.scope


def _copies(count: Number, units: tuple[Unit, ...], inner: dict[Unit, ClassText], code: ClassCode) -> str:
    """The copies as a comprehension where one expression makes them all, else one after the other."""
    index = next((a.name for a in inner[units[0]].arguments if _is_own_index(a, units[0])), "_")
    made = {make_unit(unit, inner, code, index) for unit in units}
    if len(made) == 1:
        return f"{made.pop()} for {index} in range({code.number(count)})"
    return f"[{', '.join(make_unit(unit, inner, code, str(i)) for i, unit in enumerate(units))}]"


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
