"""Modules of the model by name: labels, paths (`blocks.0.attn`) and quoted patterns (`"blocks.*.norm"`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..build.arguments import all_of
from ..semantics.nearest import nearest
from ..semantics.report import Report
from .ports import Ports

if TYPE_CHECKING:
    from .factors import Factor

_TAKES = 'labels, paths and patterns of modules, such as `[head, blocks.0.attn, "blocks.*.norm"]`'


class ModuleName(Frozen):
    """`text` as it is written, without quotes; where it was quoted, a `*` stands for one level."""

    text: str
    span: Span
    quoted: bool = False

    def __str__(self) -> str:
        return f'"{self.text}"' if self.quoted else self.text

    @property
    def pattern(self) -> str:
        """A regular expression of the paths of modules that it is the name of."""
        return _expression(self.text) if self.quoted else re.escape(self.text)

    @property
    def depth(self) -> tuple[int, int]:
        """Of several names that match, the one with most levels counts, and of those the one with fewest `*`."""
        return self.text.count("."), -self.text.count("*") if self.quoted else 0

    def matches(self, path: str) -> bool:
        """Whether a module is the one that is named, or lies in it."""
        return re.fullmatch(rf"{self.pattern}(\..+)?", path) is not None


def frozen_path(path: str, freeze: Iterable[ModuleName], rates: Iterable[Factor]) -> bool:
    """Whether a module or weight does not learn: of the names that match it, the longest is one of `freeze`."""
    named = [(name.depth, True) for name in freeze if name.matches(path)]
    named += [(one.module.depth, False) for one in rates if one.module.matches(path)]
    return max(named, default=(None, False))[1]


def _expression(pattern: str) -> str:
    return r"[^.]+".join(map(re.escape, pattern.split("*")))


def read_modules(flow: tree.Flow, key: str, report: Report) -> tuple[ModuleName, ...] | None:
    """The names of a list, or the one that stands without brackets; None where one is none (reported)."""
    own = Report()
    found = names_of_modules(flow, key, own)
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    return None if own.failed else found


def names_of_modules(flow: tree.Flow, key: str, report: Report) -> tuple[ModuleName, ...]:
    """The names of a list, or the one that stands without brackets; what is no name is reported and left out."""
    entries = flow.entries if isinstance(flow, tree.List) else (flow,)
    if not entries:
        report.error("wrong-value", f"`{key}` takes {_TAKES}", flow.span, "an empty list", help="take the line out")
    found: dict[str, ModuleName] = {}
    for entry in entries:
        name = _name(entry)
        if name is None:
            report.error("wrong-value", f"`{key}` takes {_TAKES}", entry.span, "not one of these")
            continue
        before = found.setdefault(name.text, name)
        if before is not name:
            message, labels = f"`{key}` names `{name.text}` twice", ((before.span, "given here first"),)
            report.error("repeated-name", message, name.span, "given again here", labels=labels, help="take one out")
    return tuple(found.values())


def _name(entry: tree.Flow | tree.Entry) -> ModuleName | None:
    match entry:
        case tree.Stage(path=path, args=None, body=None):
            return ModuleName(str(path), entry.span)
        case tree.String(value=value) if value:
            return ModuleName(value, entry.span, quoted=True)
    return None


def check_modules(names: Iterable[ModuleName], key: str, ports: Ports, report: Report) -> bool:
    """Whether each name is that of a module; what is not is reported. Where the modules are not all known, only what is
    near to one that is."""
    modules = ports.made if ports.modules is None else ports.modules
    unknown = [name for name in names if not any(name.matches(path) for path in modules)]
    if ports.modules is None:
        modules |= {name for name in ports.unmade if "." not in name}
        near = [name for name in unknown if _mended(name.text, _levels(modules)) is not None]
        unknown = [name for name in near if not _may_be(name, ports.unmade)]
    for name in unknown:
        _unknown(name, ports.model, modules, report)
    return not unknown


def _may_be(name: ModuleName, unmade: frozenset[str]) -> bool:
    """Whether a name may be that of a module that an error kept from being made, or of one inside it."""
    parts = [part for part in name.text.split(".") if part != "*" and not part.isdigit()]
    return any(".".join(parts[:depth]) in unmade for depth in range(1, len(parts) + 1)) or any(
        "*" in part for part in parts
    )


def _levels(modules: frozenset[str]) -> set[str]:
    return {path.rsplit(".", depth)[0] for path in modules for depth in range(path.count(".") + 1)} | modules


def _unknown(name: ModuleName, model: str, modules: frozenset[str], report: Report) -> None:
    levels = _levels(modules)
    inside = sorted({re.sub(r"\.\d+(?=\.|$)", ".*", path) for path in levels if path.endswith(f".{name.text}")})
    message = f"{model} has no module `{name.text}`"
    if inside:
        text = f'"{inside[0]}"' if "*" in inside[0] else inside[0]
        help = f"write `{text}`: a path begins outside"
    else:
        meant = _mended(name.text, levels)
        text = "" if meant is None else f'"{meant}"' if name.quoted else meant
        outer = sorted({path.split(".")[0] for path in levels})[:12]
        help = f"write `{text}`" if text else all_of("module", outer)
    fixes = (Fix(name.span, text),) if text else ()
    report.error("unknown-module", message, name.span, "not in the model", help=help, fixes=fixes)


def _mended(written: str, paths: Iterable[str]) -> str | None:
    """A path or pattern with the name that is meant at each level, as far as there are levels; None where one is not
    near to any."""
    found: list[str] = []
    below = [path.split(".") for path in paths]
    for depth, part in enumerate(written.split(".")):
        below = [path for path in below if len(path) > depth]
        legal = {path[depth] for path in below}
        if not legal:
            break
        fits = any(re.fullmatch(_expression(part), name) for name in legal)
        word = part.strip("*")
        meant = part if fits else nearest(word, legal) or nearest(f"{word}s", legal)
        if meant is None:
            return None
        found.append(meant)
        below = [path for path in below if re.fullmatch(_expression(meant), path[depth])]
    return ".".join(found) or None
