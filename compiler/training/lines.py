"""The lines of a `train` body by their keys."""

from __future__ import annotations

from ...grammar import tree
from ..semantics.language import TRAIN_KEYS, TRAIN_SPELLINGS
from ..semantics.nearest import nearest
from ..semantics.report import Report
from .language import ELSEWHERE, TRAIN_LATER

Lines = dict[str, tree.Binding]

# What a recipe cannot do without, and how it is written.
REQUIRED = {
    "data": "data = digits",
    "loss": "loss = cross_entropy(logits, data.label)",
    "optimizer": "optimizer = AdamW(lr = 3e-4)",
    "steps": "epochs = 10",
    "batch": "batch = 64",
}


def read_lines(train: tree.Train, report: Report) -> Lines:
    """Every key with its line; keys that are unknown, repeated, missing, or of a later version are reported.

    An optional key that is given `none` is left out; so are keys of a later version.
    """
    lines: Lines = {}
    phases, meant = False, set[str]()
    for line in train.body.lines:
        match line:
            case tree.Binding(name=name):
                meant |= _enter(line, name, lines, report)
            case tree.Unread():
                meant |= TRAIN_KEYS & set(line.span.text.split())
            case tree.Phase(name=name):
                phases = True
                report.later("`phase`", name.span)
            case _:
                help = "such as `batch = 64`"
                report.error(
                    "misplaced-line", "a line of `train` is `key = value`", line.span, "not of that form", help=help
                )
    _require({*lines, *meant}, train, phases, report)
    for key in [key for key, line in lines.items() if isinstance(line.value, tree.Nothing) and key not in REQUIRED]:
        del lines[key]
    for key in [key for key in lines if key in TRAIN_LATER]:
        report.later(f"`{key}`", lines.pop(key).name.span)
    return lines


def _enter(line: tree.Binding, name: tree.Name, lines: Lines, report: Report) -> set[str]:
    """Enters a line; returns the key that was probably meant by one that is unknown, which is then not missing too."""
    if name.text not in TRAIN_KEYS:
        return _unknown(name, [key for key in TRAIN_KEYS if key not in lines], report)
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
    return set()


def _unknown(name: tree.Name, free: list[str], report: Report) -> set[str]:
    meant = nearest(name.text, free, TRAIN_SPELLINGS)
    option = nearest(name.text, ELSEWHERE)
    where = " in `train`"
    if meant is not None and (option is None or name.text not in ELSEWHERE):
        report.unknown("key", name.text, name.span, free, TRAIN_SPELLINGS, code="unknown-key", where=where)
        return {meant}
    message = f"there is no key `{name}`{where}"
    listed = ", ".join(f"`{key}`" for key in sorted(set(free) - TRAIN_LATER))
    help = f"one of {listed}" if option is None else f"it is an option: `{ELSEWHERE[option]}`"
    report.error("unknown-key", message, name.span, "not known here", help=help)
    return set()


def _require(keys: set[str], train: tree.Train, phases: bool, report: Report) -> None:
    """With phases, each of them has a loss of its own."""
    given = {*keys, "steps"} if "epochs" in keys else keys
    needed = [key for key in REQUIRED if key not in given and not (phases and key in ("loss", "optimizer"))]
    if not needed:
        return
    named = [f"`{key}`" if key != "steps" else "`steps` or `epochs`" for key in needed]
    listed = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    help = "such as\n" + "\n".join(f"`{REQUIRED[key]}`" for key in needed)
    label = "not given here" if len(needed) == 1 else "these are not given here"
    report.error("missing-key", f"`train {train.model}` needs {listed}", train.model.span, label, help=help)
