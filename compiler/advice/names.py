"""Names that nothing has: words that want quotes, parameters that come later, the index of a `repeat`,
fields of what has none."""

from __future__ import annotations

import re
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic, Fix
from ...grammar.source import Span
from .around import Nodes, Rule, also, innermost, instead

# What a copy's number is called, in a text that does not say where it comes from.
_INDICES = frozenset({"i", "j", "k", "n", "idx", "index", "layer", "depth"})
# An edit is one stretch of the text, from the dictionary to the last use of its fields.
_LONGEST = 8_000


def word_of_an_option(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`mode = same`, a constant."""
    item, word = nodes[0] if nodes else None, finding.span.text
    if not isinstance(item, tree.Constant) or item.value.span != finding.span or not _is_word(word):
        return None
    return instead(finding, f'"{word}"', help=f'write `"{word}"`: a constant that holds a word of an option quotes it')


def _is_word(word: str) -> bool:
    """Whether some layer has an option that takes this word."""
    from ..layers import registry  # all of them are loaded, which only this mistake waits for
    from ..semantics.language import functions, layers

    kinds = (registry.find(name) for name in (*layers(), *functions()))
    return any(
        word in field.kind.words
        for kind in kinds
        if kind is not None
        for field in kind.options.values()
        if field.kind is not None
    )


def parameter_before(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`block L(a = b, b = 2)`."""
    block, param = nodes[0] if nodes else None, innermost(nodes, tree.Param)
    if param is None or not isinstance(block, tree.Block):
        return None
    params = block.params or ()
    earlier = params[: params.index(param)]
    later = next((p for p in params[len(earlier) :] if p.name.text == finding.span.text), None)
    names = ", ".join(f"`{p.name}`" for p in earlier)
    rule = "a default may use the parameters before it"
    if later is param:
        return replace(finding, help=f"{rule}, and not itself: write a value", fixes=())
    if later is not None:
        help = f"{rule}: write `{later.name}` before `{param.name}`"
        return replace(finding, help=help, fixes=(), labels=((later.name.span, "given here, behind it"),))
    if finding.fixes:
        return None
    return replace(finding, help=f"{rule}{f', {names},' if names else ''} and constants of the file")


def index_of_repeat(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`repeat(2) { Linear(8 + i) }`."""
    repeat = next((n for n in reversed(nodes) if isinstance(n, tree.Stage) and n.path.parts == ("repeat",)), None)
    word = finding.span.text
    if finding.fixes or word not in _INDICES or repeat is None or repeat.body not in nodes or not repeat.args:
        return None
    if len(repeat.args) != 1:
        return None
    end, source = repeat.args[0].span.end, repeat.span.source
    better = f"repeat({repeat.args[0].span.text}, index = {word})"
    fix = Fix(Span(source, end, end), f", index = {word}")
    return replace(finding, help=f"write `{better}`, which counts the copies from 0", fixes=(fix,))


def fields_where_used(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """`config = { hidden = 64 }`: with the dictionary its fields are written anew where they are used below."""
    fix, text = next(iter(finding.fixes), None), finding.span.source.text
    given = None if fix is None else re.match(r"\w+", fix.span.text)
    if fix is None or given is None:
        return None
    fields = set(re.findall(r"^(\w+) = ", fix.text, re.M))
    below = text[fix.span.end : fix.span.end + _LONGEST]
    uses = [use for use in re.finditer(rf"\b{given[0]}\.(\w+)", below) if use[1] in fields]
    if not uses:
        return None
    end = uses[-1].end()
    better = re.sub(rf"\b{given[0]}\.(\w+)", lambda use: use[1] if use[1] in fields else use[0], below[:end])
    return also(finding, f"{fix.text}{better}", Span(fix.span.source, fix.span.start, fix.span.end + end))


NAMES: dict[str, tuple[Rule, ...]] = {
    "unknown-name": (word_of_an_option, parameter_before, index_of_repeat),
    "foreign-dictionary": (fields_where_used,),
}
