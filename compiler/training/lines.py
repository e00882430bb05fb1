"""The lines of a `train` section and of its phases by their keys."""

from __future__ import annotations

from collections.abc import Iterable

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ..semantics.language import TRAIN_KEYS, TRAIN_SPELLINGS
from ..semantics.nearest import nearest
from ..semantics.report import Report
from .language import ELSEWHERE, OUTSIDE, PHASE_KEYS, Option

Lines = dict[str, tree.Binding]

# What a recipe cannot do without, and how it is written.
REQUIRED = {
    "data": "data = digits",
    "loss": "loss = cross_entropy(logits, data.label)",
    "optimizer": "optimizer = AdamW(lr = 3e-4)",
    "steps": "epochs = 10",
    "batch": "batch = 64",
}


class Section(Frozen):
    """The lines of a `train` section, and its phases in order.

    `declined` are the lines that say `none`, `meant` the keys that stand there misspelt. A line whose key is misspelt
    is that of the key that was meant; another tool's key has that tool's values, and stands for none.
    """

    lines: Lines
    phases: tuple[tree.Phase, ...]
    declined: Lines
    meant: frozenset[str]


def read_section(train: tree.Train, report: Report) -> Section:
    """Every key with its line; keys that are unknown, repeated or missing are reported.

    An optional key that is given `none` is left out.
    """
    lines: Lines = {}
    phases: list[tree.Phase] = []
    meant: set[str] = set()
    keys = [line.name.text for line in train.body.lines if isinstance(line, tree.Binding)]
    for line in train.body.lines:
        match line:
            case tree.Binding():
                if _is_key(line, TRAIN_KEYS, lines, report):
                    continue
                free = [key for key in TRAIN_KEYS if key not in keys]
                key = _unknown_key(line, free, train.body, report)
                meant.add(key)
                if key in free and line.name.text not in {*TRAIN_SPELLINGS, *ELSEWHERE}:
                    lines.setdefault(key, line)
            case tree.Phase():
                phases.append(line)
            case tree.Unread():
                meant |= TRAIN_KEYS & set(line.span.text.split())
            case _:
                _no_line(line, "train", "batch = 64", report)
    empty = {key for key, line in lines.items() if isinstance(line.value, tree.Nothing)}
    _require({*lines, *meant} - (empty & {"steps", "epochs"}), train, bool(phases), report)
    none = [key for key in lines if key in empty and (key not in REQUIRED or key == "steps")]
    declined = {key: lines.pop(key) for key in none}
    return Section(lines, tuple(phases), declined, frozenset(meant))


def read_phase_lines(phase: tree.Phase, report: Report) -> tuple[Lines, frozenset[str]]:
    """The lines of a phase, and the keys that stand there misspelt; what is unknown or repeated is reported."""
    lines: Lines = {}
    meant: set[str] = set()
    for line in phase.body.lines:
        if isinstance(line, tree.Unread):
            meant |= set(PHASE_KEYS) & set(line.span.text.split())
        elif not isinstance(line, tree.Binding):
            _no_line(line, "a phase", "update = [critic]", report)
        elif not _is_key(line, PHASE_KEYS, lines, report):
            key = _unknown_in_phase(line, [key for key in PHASE_KEYS if key not in lines], phase.body, report)
            meant.add(key)
            if key and line.name.text not in {*TRAIN_KEYS, *TRAIN_SPELLINGS, *ELSEWHERE}:
                lines.setdefault(key, line)
    return lines, frozenset(meant)


def _no_line(line: tree.Line, place: str, example: str, report: Report) -> None:
    message = f"a line of `{place}` is `key = value`" if place == "train" else f"a line of {place} is `key = value`"
    report.error("misplaced-line", message, line.span, "not of that form", help=f"such as `{example}`")


def _is_key(line: tree.Binding, known: Iterable[str], lines: Lines, report: Report) -> bool:
    """Enters a line whose key there is; one that stands there already is reported."""
    name = line.name
    if name.text not in known:
        return False
    if name.text in lines:
        report.error(
            "repeated-key",
            f"`{name.text}` is given twice",
            name.span,
            "given again here",
            labels=((lines[name.text].name.span, "given here first"),),
            help="keep one of them",
        )
    else:
        lines[name.text] = line
    return True


def _unknown_key(line: tree.Binding, free: list[str], body: tree.Body, report: Report) -> str:
    """Reports a key that there is not; returns the one that was probably meant, or an empty text."""
    name, where = line.name, " in `train`"
    message = f"there is no key `{name}`{where}"
    if name.text in OUTSIDE:
        report.error("unknown-key", message, name.span, "not known here", help=OUTSIDE[name.text])
        return ""
    given = TRAIN_SPELLINGS.get(name.text)
    if given is not None and given not in free:
        help = f"it is called `{given}`, and that is given already: take one of them out"
        report.error("unknown-key", message, name.span, "not known here", help=help)
        return ""
    meant = nearest(name.text, free, TRAIN_SPELLINGS)
    option = nearest(name.text, ELSEWHERE)
    if meant is not None and (option is None or name.text not in ELSEWHERE):
        report.unknown("key", name.text, name.span, free, TRAIN_SPELLINGS, code="unknown-key", where=where)
        return meant
    if option is not None:
        return _is_an_option(line, ELSEWHERE[option], body, where, report)
    listed = ", ".join(f"`{key}`" for key in sorted(free))
    report.error("unknown-key", message, name.span, "not known here", help=f"one of {listed}")
    return ""


def _is_an_option(line: tree.Binding, option: Option, body: tree.Body, where: str, report: Report) -> str:
    """Reports an option that stands as a key; returns the key that it then is a part of, or an empty text."""
    message, help = f"there is no key `{line.name}`{where}", f"it is an option: `{option.example}`"
    fix = _as_option(line, option, body)
    report.error("unknown-key", message, line.name.span, "not known here", help=help, fixes=(fix,) if fix else ())
    return option.key if fix else ""


def _as_option(line: tree.Binding, option: Option, body: tree.Body) -> Fix | None:
    """The edit that moves the value of a line into the call it belongs to, where that can be done."""
    owner = next((o for o in body.lines if isinstance(o, tree.Binding) and o.name.text == option.key), None)
    value = line.value.span.text
    if owner is None:
        return Fix(line.span, f"{option.key} = {option.alone.format(value)}") if option.alone else None
    call = owner.value.stages[0] if isinstance(owner.value, tree.Then) else owner.value
    if not option.name or not isinstance(call, tree.Stage) or call.body is not None:
        return None
    args = call.args or ()
    if any(isinstance(arg, tree.Keyword) and arg.name.text == option.name for arg in args):
        return None
    source = call.span.source
    if line.span.source is not source:
        return None  # `--set` has put one of the two in
    inside = f"{call.span.text[:-1]}, {option.name} = {value})" if args else f"{call.path}({option.name} = {value})"
    before, after = source.text[: line.span.start].rstrip(" \t"), source.text[line.span.end :]
    if not before.endswith("\n") or not after.startswith(("\n", "\r\n")):
        return None  # the line does not stand alone
    row = source.span(len(before) - 1, line.span.end)
    if call.span.end <= row.start:
        return Fix(source.span(call.span.start, row.end), inside + source.text[call.span.end : row.start])
    return Fix(source.span(row.start, call.span.end), source.text[row.end : call.span.start] + inside)


def _unknown_in_phase(line: tree.Binding, free: list[str], body: tree.Body, report: Report) -> str:
    name, where = line.name, " in a phase"
    option = ELSEWHERE.get(name.text)
    if option is not None and option.key in PHASE_KEYS:
        return _is_an_option(line, option, body, where, report)
    if name.text not in TRAIN_KEYS:
        spellings = {
            **TRAIN_SPELLINGS,
            "modules": "update",
            "parameters": "update",
            "train": "update",
            "steps": "times",
        }
        report.unknown("key", name.text, name.span, free, spellings, code="unknown-key", where=where)
        return nearest(name.text, free, spellings) or ""
    message = f"there is no key `{name}`{where}: it is one of the whole recipe"
    help = f"write `{line.span.text}` outside the phases"
    report.error("unknown-key", message, name.span, "not known here", help=help)
    return ""


def such_as(lines: Iterable[str]) -> str:
    """Lines of a section for a message, several below each other."""
    shown = [f"`{line}`" for line in lines]
    return f"such as {shown[0]}" if len(shown) == 1 else "\n".join(["such as", *shown])


def _require(keys: set[str], train: tree.Train, phases: bool, report: Report) -> None:
    """With phases, each of them has a loss of its own."""
    given = {*keys, "steps"} if "epochs" in keys else keys
    needed = [key for key in REQUIRED if key not in given and not (phases and key in ("loss", "optimizer"))]
    if not needed:
        return
    named = [f"`{key}`" if key != "steps" else "`steps` or `epochs`" for key in needed]
    listed = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    help = such_as(REQUIRED[key] for key in needed)
    label = "not given here" if len(needed) == 1 else "these are not given here"
    report.error("missing-key", f"`train {train.model}` needs {listed}", train.model.span, label, help=help)
