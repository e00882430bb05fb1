"""An emitted file while it is being written: its constants, its library classes, its imports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...scalars.expression import ScalarFunction
from ...scalars.print_torch import functions_called
from ...scalars.source import function_source
from ...semantics.arithmetic import spell
from ...semantics.number import Literal, Number, Operation, Reference, is_whole, references, spelled
from .initial import Scheme
from .layout import WIDTH, fit
from .names import function_name, numbered_names, safe_name
from .views import Views

if TYPE_CHECKING:
    from ..triton.file import KernelFile
    from .experts import Balance

_IMPORTS = (
    (r"\bmath\.", "import math"),
    (r"\bCallable\[", "from collections.abc import Callable"),
    (r"@dataclass", "from dataclasses import dataclass"),
    (r"\btorch\.", "import torch"),
    (r"\bF\.", "import torch.nn.functional as F"),
    (r"(?<![.\w])checkpoint\(", "from torch.utils.checkpoint import checkpoint"),
)


class FileText:
    """Gathers what the classes of one file share.

    `constants` are the spec's numbers in the order of the spec; those that emitted code names become fields of
    `Config`. `scheme` says how initial weights are drawn.
    """

    def __init__(
        self,
        source_name: str,
        constants: Iterable[Reference],
        scheme: Scheme,
        *,
        exporting: bool,
        kernels: KernelFile | None = None,
        views: Views = MappingProxyType({}),
        balance: Balance | None = None,
        variables: Collection[str] = (),
    ) -> None:
        self.views = views
        """The methods of the model that give some of its outputs."""
        self.source_name, self.scheme, self.exporting = source_name, scheme, exporting
        self.kernels = kernels
        """Where the model's kernels are written; None where it runs without."""
        self.balance = balance
        """The losses of experts; None where the file is not for training."""
        self.variables = frozenset(variables)
        """Names that may be those of variables in a `forward`, where functions of the same name were out of reach."""
        self.constants = {c.name: c for c in constants}
        self.used: set[str] = set()
        self.library: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        """Classes that lie in other files, with the module of each."""
        self.classes: set[str] = set()
        """The names that classes of the file have, or will have."""

    def constant(self, name: str) -> str:
        """`config.dim`, noting that the constant is used, and those it is computed from."""
        self._use(name)
        return f"config.{name}"

    def _use(self, name: str) -> None:
        if name in self.used:
            return
        self.used.add(name)
        target = self.constants[name].target
        for reference in references(target) if target is not None else ():
            self._use(reference.name)

    def add_library(self, name: str, source: str) -> str:
        """A class of the library under a free name; the same text is put in once."""
        number = 1
        while True:
            free = name if number == 1 else f"{name}{number}"
            text = source.replace(f"class {name}(", f"class {free}(", 1)
            if self.library.get(free) == text:
                return free
            if free not in self.classes:
                self.library[free] = text
                self.classes.add(free)
                return free
            number += 1

    def add_function(self, function: ScalarFunction, tensors: Sequence[str]) -> str:
        """A function of the spec, and those that it calls, under its own name; numbered where it is given tensors in
        another way."""
        for called in functions_called(function.value, tensors):
            self._function(called, called.parameters[0].name)
        return self._function(function, *tensors)

    def _function(self, function: ScalarFunction, *tensors: str) -> str:
        own, number = self._called(function.name), 1
        written = function_source(function, tensors=tensors, name=safe_name, called=self._called)
        while True:
            name = own if number == 1 else f"{own}_{number}"
            source = written.replace(f"def {own}(", f"def {name}(", 1)
            if self.functions.setdefault(name, source) == source:
                return name
            number += 1

    def _called(self, name: str) -> str:
        return function_name(name, self.variables)

    def add_kernel(self, name: str, kernels: KernelFile) -> str:
        """What the model calls of a file of kernels; returns its name here, where the spec may have that name."""
        taken = self.classes | self.variables | kernels.taken
        here = next(one for one in chain([name], numbered_names(f"fused_{name}")) if one not in taken)
        self.imported[here if here == name else f"{name} as {here}"] = kernels.module
        return here

    def _beside(self) -> list[str]:
        """What is imported from files that lie beside this one."""
        modules = sorted(set(self.imported.values()))
        names = {module: [name for name, of in self.imported.items() if of == module] for module in modules}
        return [line for module in modules for group in _groups(names[module]) for line in _import(module, group)]

    def config(self) -> list[str]:
        """The `Config` class, or nothing where no constant is used."""
        if not self.used:
            return []
        fields, properties = [], []
        for name, constant in self.constants.items():
            if name not in self.used or constant.target is None:
                continue
            kind = "int" if is_whole(constant) else "float"
            if isinstance(constant.target, Literal):
                fields.append(f"    {name}: {kind} = {python_literal(constant.target)}")
            else:
                value = python(constant.target, lambda r: f"self.{r.name}")
                properties += ["", "    @property", f"    def {name}(self) -> {kind}:", f"        return {value}"]
        doc = f'    """The constants of {self.source_name}."""'
        return ["@dataclass(frozen=True)", "class Config:", doc, *(["", *fields] if fields else []), *properties]

    def text(self, doc: str, classes: list[str]) -> str:
        """The whole file: docstring, imports, constants, classes, functions."""
        config = "\n".join(self.config())
        parts = [part for part in (config, *self.library.values(), *classes, *self.functions.values()) if part]
        body = "\n\n\n".join(part.strip("\n") for part in parts) + "\n"
        standard = [line for pattern, line in _IMPORTS[:3] if re.search(pattern, body)]
        torch = [line for pattern, line in _IMPORTS[3:] if re.search(pattern, body)]
        names = [name for name in ("Tensor", "nn") if re.search(rf"\b{name}\b", body)]
        named = next((at for at, line in enumerate(torch) if line.startswith("from ")), len(torch))
        torch.insert(named, f"from torch import {', '.join(names)}")
        imports = ["from __future__ import annotations", *(["", *standard] if standard else []), "", *torch]
        beside = self._beside()
        imports += ["", *beside] if beside else []
        text = "\n".join([f'"""{doc}"""', "", *imports]) + "\n\n\n" + body
        return "\n".join(part for line in text.split("\n") for part in fit(line))


def _place(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """By which formatters order imported names: classes first, and 2 before 10."""
    parts = re.split(r"(\d+)", name.lower())
    return name[0].islower(), [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _groups(names: Sequence[str]) -> list[list[str]]:
    """What formatters import in one statement: what keeps its name, and by itself what does not (`a as b`)."""
    kept = sorted((name for name in names if " as " not in name), key=_place)
    renamed = [[name] for name in names if " as " in name]
    return sorted([kept, *renamed] if kept else renamed, key=lambda group: _place(group[0]))


def _import(module: str, names: Sequence[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    return [line] if len(line) <= WIDTH else [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def python_literal(n: Literal) -> str:
    """The spelling of the spec where Python reads it the same: `50_257`, `1e-4`. A whole number is an int."""
    fraction = "" if is_whole(n) else r"(\.\d+)?([eE][+-]?\d+)?"
    plain = re.fullmatch(rf"(?!0\d)\d[\d_]*{fraction}", n.text)
    return n.text if plain and "__" not in n.text and not re.search(r"_(\D|$)", n.text) else spell(n.value)


def python(n: Number, name: object) -> str:
    """A number as a Python expression, references printed by `name`."""
    if isinstance(n, Literal):
        return python_literal(n)
    text = spelled(n, name, python=True)  # type: ignore[arg-type]
    return f"round({text})" if is_whole(n) and _is_float(n) else text


def _is_float(n: Number) -> bool:
    """Whether Python works the number out as a float: `0.5 * dim` is one, whole or not."""
    match n:
        case Operation("floor" | "ceil"):
            return False
        case Operation("sqrt" | "exp" | "log" | "sin" | "cos"):
            return True
        case Operation("/" | "//" | "^" as operator, (a, b)):
            divided = operator == "/" and not is_whole(n)
            return divided or _is_float(a) or _is_float(b) or (operator == "^" and b.value is not None and b.value < 0)
        case Operation(operands=operands):
            return any(map(_is_float, operands))
    return not is_whole(n)
