"""Settings of a recipe that are written like labels: `data: digits`."""

from __future__ import annotations

from dataclasses import replace

from . import tree
from .diagnostics import Diagnostic, Fix
from .source import Span


def with_settings(items: list[tree.Item], findings: list[Diagnostic]) -> tuple[tree.Item, ...]:
    """The items, with every line `key: value` of a `train` section as the `key = value` that it was meant to be."""
    return tuple(
        replace(item, body=_settled(item.body, findings)) if isinstance(item, tree.Train) else item for item in items
    )


def _settled(body: tree.Body, findings: list[Diagnostic]) -> tree.Body:
    lines: list[tree.Line] = []
    for line in body.lines:
        match line:
            case tree.Label():
                lines.append(_setting(line, findings))
            case tree.Phase():
                lines.append(replace(line, body=_settled(line.body, findings)))
            case _:
                lines.append(line)
    return replace(body, lines=tuple(lines))


def _setting(label: tree.Label, findings: list[Diagnostic]) -> tree.Binding:
    name, value = label.name, label.target
    source = name.span.source
    at = source.text.find(":", name.span.end, value.span.start)
    if at < 0:  # the sign is missing, which has been told
        return tree.Binding(name, value, span=label.span)
    colon = Span(source, at, at + 1)
    gap = "" if colon.start > name.span.end else " "
    message, help_ = "a setting is given its value with `=`", "write `=`"
    findings.append(Diagnostic("wrong-sign", message, colon, "`:`", help=help_, fixes=(Fix(colon, f"{gap}="),)))
    return tree.Binding(name, value, span=label.span)
