"""A class of a file of Python as a layer of the language."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Source, Span
from ..layers.base import Code, Layer, Parameter, ShapeFault
from ..layers.side import Side
from ..semantics.evaluate import is_number
from ..semantics.number import number, real, whole, written
from ..semantics.tensor import Tensor
from . import trial
from .dims import OpenDimError, as_dim, as_number
from .execute import PythonFault, faults_of, run_file
from .signature import IN_FILE, INPUT, Signature, line_span, read_signatures

IN_LAYER = "python-layer"
"""The code of what is wrong with a layer where it is used."""


class PythonLayer(Layer):
    """What is known of a layer from its file, and asked of PyTorch. Such a layer gives floats.

    `made` is its class, None where the file was not run.
    """

    signature: ClassVar[Signature]
    made: ClassVar[type | None]
    python: ClassVar[Source]  # pyright: ignore[reportIncompatibleVariableOverride]  here there always is one

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        object.__setattr__(self, "_inferred", {})
        object.__setattr__(self, "_held", {})

    # --- meaning ---

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        known: dict[Tensor, tuple[Tensor, ...]] = self._inferred  # type: ignore[attr-defined]
        if x not in known:
            types = self._by_rule(x)
            self._try(x, types)
            known[x] = types
        return known[x]

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {name: _parameter(shape) for name, shape in self._holds(x).weights.items()}

    def buffers(self, x: Tensor) -> dict[str, Parameter]:
        return {name: _parameter(shape) for name, shape in self._holds(x).buffers.items()}

    def axes_of_module(self, x: Tensor) -> int | None:
        return x.rank if self.signature.takes_shape else None

    def _by_rule(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the shape rule says."""
        assert self.made is not None
        given = {name: self._value(name) for name in self.signature.rule}
        try:
            with faults_of(self.python):
                result = self.made.shape(tuple(map(as_dim, x.dims)), **given)  # type: ignore[attr-defined]
        except PythonFault as fault:
            raise self._refusal(fault, x) from None
        several = (
            isinstance(result, tuple | list) and bool(result) and all(isinstance(one, tuple | list) for one in result)
        )
        return tuple(self._type(one) for one in (result if several else (result,)))

    def _type(self, dims: object) -> Tensor:
        numbers = [as_number(dim) for dim in dims] if isinstance(dims, tuple | list) else [None]
        if any(n is None or (n.value is not None and n.value < 1) for n in numbers):
            raise ShapeFault(
                f"the shape rule of `{self.word}` gives {_shown(dims)}, which are no dims",
                "it returns a tuple of whole numbers and dims of what comes in; `//` divides them",
                label="here",
                code=IN_LAYER,
                labels=self._at_rule(),
            )
        return Tensor("float", tuple(n for n in numbers if n is not None))

    def _refusal(self, fault: PythonFault, x: Tensor) -> ShapeFault:
        """What a shape rule raised: a ValueError is how it refuses what comes in."""
        labels = self._at(fault)
        if isinstance(fault.error, ValueError):
            message = f"`{self.word}` does not take {x}: {fault.error}"
            return ShapeFault(message, "its shape rule says what it takes", labels=labels)
        if isinstance(fault.error, OpenDimError):
            message = f"the shape rule of `{self.word}` cannot be worked out for {x}: {fault.error}"
            help = "make the dim one that is known, or write the rule so that it holds for every length"
            return ShapeFault(message, help, code=IN_LAYER, labels=labels)
        message = f"the shape rule of `{self.word}` fails for {x}: {fault.said}"
        return ShapeFault(
            message, "mend the rule; to refuse what comes in it raises ValueError", code=IN_LAYER, labels=labels
        )

    # --- what PyTorch says ---

    def _holds(self, x: Tensor) -> trial.Held:
        known: dict[tuple[object, ...], trial.Held] = self._held  # type: ignore[attr-defined]
        arguments = self._arguments(x)
        key = tuple(arguments.get(INPUT, ()))
        if key not in known:
            assert self.made is not None
            try:
                known[key] = trial.held(self.made, arguments, self.python)
            except PythonFault as fault:
                refused = isinstance(fault.error, ValueError)
                what = "refuses its options" if refused else "cannot be made"
                raise ShapeFault(
                    f"`{self.word}` {what}: {fault.error if refused else fault.said}",
                    "its `__init__` says so",
                    label="made here",
                    code="wrong-value" if refused else IN_LAYER,
                    labels=self._at(fault),
                ) from None
            except trial.Unfit as fault:
                raise self._unfit(fault) from None
        return known[key]

    def _try(self, x: Tensor, types: tuple[Tensor, ...]) -> None:
        """Hold the rule against `forward` at two sizes of the open dims. Raises ShapeFault."""
        assert self.made is not None
        self._holds(x)
        sides = self.sides()
        names = [name for side in sides for name in self.options if getattr(self, name) is side]
        inputs = [x, *(side.type for side in sides)]
        for turn in range(len(trial.BATCHES)):
            sizes = trial.Sizes(turn)
            try:
                found = trial.outputs(self.made, self._arguments(x), inputs, names, sizes, self.python)
            except trial.Unfit as fault:
                raise self._unfit(fault) from None
            except PythonFault as fault:
                shapes = " and ".join(str(list(sizes.shape(one.dims) or ())) for one in inputs)
                raise ShapeFault(
                    f"`forward` of `{self.word}` fails for {shapes}: {fault.said}",
                    "mend `forward`; what it cannot take the rule refuses with a ValueError, and a length that has to "
                    "divide is written so in the input: `2 * T`",
                    code=IN_LAYER,
                    labels=self._at(fault),
                ) from None
            if found is None:
                continue
            gives, came = found
            says = [sizes.shape(one.dims) for one in types]
            if says != [shape for shape, _ in gives]:
                raise ShapeFault(
                    f"the shape rule of `{self.word}` says {_listed(says)}, and `forward` gives "
                    f"{_listed([shape for shape, _ in gives])} for {_listed(came)}",
                    "mend the rule or `forward`: all that follows stands on the rule",
                    label=f"{', '.join(map(str, types))} by the rule",
                    code=IN_LAYER,
                    labels=self._at_rule(),
                )
            other = next((dtype for _, dtype in gives if not dtype.startswith(("float", "bfloat"))), None)
            if other is not None:
                message = f"`forward` of `{self.word}` gives {other}, and a layer written in Python gives floats"
                help = "return `.float()` of it"
                raise ShapeFault(message, help, label="here", code=IN_LAYER, labels=self._at_rule())

    def _unfit(self, fault: trial.Unfit) -> ShapeFault:
        labels = ((self.signature.place, "this class"),)
        return ShapeFault(f"`{self.word}` {fault.message}", fault.help, label="made here", code=IN_LAYER, labels=labels)

    def _at(self, fault: PythonFault) -> tuple[tuple[Span, str], ...]:
        return () if fault.line is None else ((line_span(self.python, fault.line), "raised here"),)

    def _at_rule(self) -> tuple[tuple[Span, str], ...]:
        return ((self.signature.rule_place, "the shape rule"),)

    def _arguments(self, x: Tensor) -> dict[str, Any]:
        """What `__init__` gets."""
        shape = {INPUT: tuple(None if dim.value is None else whole(dim) for dim in x.dims)}
        own = (name for name in self.options if name not in self.signature.sides)
        return (shape if self.signature.takes_shape else {}) | {name: self._value(name) for name in own}

    def _value(self, name: str) -> Any:
        """An option as Python has it."""
        return _plain(getattr(self, name), as_float=name in self.signature.reals)

    # --- PyTorch ---

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        given = [f"{INPUT}={_shape_text(x, code)}"] if self.signature.takes_shape else []
        for name, field in self.options.items():
            value = getattr(self, name)
            if name not in self.signature.sides and (field.required or not _is_default(value, field.default)):
                given.append(f"{name}={_text(value, code, as_float=name in self.signature.reals)}")
        return f"{code.imported(self.word, stem(self.python))}({', '.join(given)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        sides = [f"{name}={side}" for name in self.options if isinstance(side := getattr(self, name), Side)]
        return f"{module}({', '.join([x, *sides])})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{code.init_as_made()}({module}, lambda: {self.constructor(x, code)}, generator)"]


def read_layers(source: Source, place: Span, *, allowed: bool) -> tuple[dict[str, type[PythonLayer]], list[Diagnostic]]:
    """The layers of a file that is imported at `place`, by name, and what is wrong with the file.

    It is run where that is `allowed`; otherwise what its layers give stays unknown.
    """
    signatures, found = read_signatures(source)
    classes: Mapping[str, Any] = {}
    if allowed and signatures and not found:
        try:
            classes = vars(run_file(source))
        except PythonFault as fault:
            found.append(_cannot_run(fault, source, place))
        else:
            found += _no_modules(signatures, classes, place)
    told = [
        Diagnostic(d.code, d.message, d.span, d.label, (*d.labels, (place, "imported here")), d.help) for d in found
    ]
    return {name: _kind(one, classes.get(name) if not found else None) for name, one in signatures.items()}, told


def stem(source: Source) -> str:
    """The module that the file is, for those that import it."""
    return os.path.basename(source.name).removesuffix(".py")


def _kind(signature: Signature, made: type | None) -> type[PythonLayer]:
    space = {
        "word": signature.name,
        "signature": signature,
        "made": made,
        "by_name": signature.by_name,
        "withheld": made is None,
        "python": signature.place.source,
        "__doc__": signature.doc,
        "__module__": __name__,
    }
    kind = type(signature.name, (PythonLayer,), space)
    kind.options = dict(signature.options)
    return kind


def _cannot_run(fault: PythonFault, source: Source, place: Span) -> Diagnostic:
    name = os.path.basename(source.name)
    span = place if fault.line is None else line_span(source, fault.line)
    if fault.missing is not None:
        beside = os.path.exists(os.path.join(os.path.dirname(source.name), f"{fault.missing}.py"))
        message = f"{name} needs the module `{fault.missing}`, which is not installed"
        help = f"install {fault.missing}"
        if beside:
            help = f"a file with layers stands alone: put what it needs of {fault.missing}.py into it"
        return Diagnostic(IN_FILE, message, span, "imported here", help=help)
    return Diagnostic(IN_FILE, f"{name} cannot be run: {fault.said}", span, "raised here")


def _no_modules(signatures: Mapping[str, Signature], classes: Mapping[str, Any], place: Span) -> list[Diagnostic]:
    """Of the classes that are to be layers those that PyTorch knows nothing of."""
    torch = sys.modules.get("torch")
    return [
        Diagnostic(
            IN_FILE,
            f"`{name}` has a shape rule and is no `nn.Module`",
            one.place,
            "this class",
            help=f"write `class {name}(nn.Module):`",
        )
        for name, one in signatures.items()
        if torch is None or not isinstance(classes.get(name), type) or not issubclass(classes[name], torch.nn.Module)
    ]


# --- values as Python has them ----------------------------------------------------------------------------------


def _parameter(shape: trial.Shape) -> Parameter:
    return Parameter(tuple(map(number, shape)))


def _plain(value: Any, *, as_float: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(one, as_float=as_float) for one in value)
    if isinstance(value, Side):
        return tuple(map(as_dim, value.type.dims))
    if is_number(value):
        return real(value) if as_float else whole(value)
    return value


def _is_default(value: Any, default: Any) -> bool:
    return _plain(value, as_float=True) == _plain(default, as_float=True) and isinstance(value, bool) == isinstance(
        default, bool
    )


def _shape_text(x: Tensor, code: Code) -> str:
    dims = ["None" if dim.value is None else code.number(dim) for dim in x.dims]
    return f"({', '.join(dims)}{',' if len(dims) == 1 else ''})"


def _text(value: Any, code: Code, *, as_float: bool) -> str:
    if isinstance(value, tuple):
        entries = [_text(one, code, as_float=as_float) for one in value]
        return f"({', '.join(entries)}{',' if len(entries) == 1 else ''})"
    if is_number(value):
        return code.real(value) if as_float else code.number(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def _listed(shapes: Any) -> str:
    return " and ".join(str(list(shape)) for shape in shapes)


def _shown(dims: object) -> str:
    listed = dims if isinstance(dims, tuple | list) else None
    if listed is None:
        return repr(dims)
    return f"[{', '.join(written(n) if (n := as_number(dim)) is not None else repr(dim) for dim in listed)}]"
