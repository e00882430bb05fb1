"""`dlspec explain`: what a code means, with a spec that has the mistake and one that has not; or what a word means."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from .codes import Code, read_codes
from .command_line import refuse_set
from .console import Console

if TYPE_CHECKING:
    from ..editor.documentation import Page


def add_arguments(parser: ArgumentParser) -> None:
    help = "a code such as shape-mismatch, or a word of the language such as Linear; left out, all codes are listed"
    parser.add_argument("code", nargs="?", metavar="CODE", help=help)


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "a code means the same in every spec")
    codes = read_codes()
    if options.code is None:
        console.document(codes=sorted(codes))
        width = max(map(len, codes))
        console.print("\n".join(f"{name:<{width}}  {_beginning(codes[name])}" for name in sorted(codes)))
        return 0
    name = options.code.strip("[]")
    if name in codes:
        _code(codes[name], console)
        return 0
    from ..editor.documentation import pages

    found = pages(name)
    if not found:
        raise WrongUse(f"there is no code and no word {options.code}", _nearest(name, codes))
    console.document(word=name, pages=[_json(page) for page in found])
    console.print("\n\n".join(map(_text, found)))
    return 0


def _beginning(code: Code) -> str:
    """The first sentence of a page, as far as its first line goes."""
    return code.text.partition("\n")[0].partition(". ")[0].rstrip(".,:")


def _code(code: Code, console: Console) -> None:
    console.document(code=code.name, text=code.text, wrong=code.wrong, right=code.right)
    console.print(f"{code.name}\n\n{code.text}")
    if code.wrong is not None and code.right is not None:
        console.print(f"\nwrong\n\n{_indented(code.wrong)}\n")
        _say_what_check_says(code, console)
        console.print(f"right\n\n{_indented(code.right)}")


def _say_what_check_says(code: Code, console: Console) -> None:
    from ..compiler.pipeline import analyse
    from ..grammar import Source

    found = analyse(Source("spec.dlspec", code.wrong or "")).diagnostics
    console.diagnostics((d for d in found if d.code == code.name), to=console.out)


def _nearest(name: str, codes: dict[str, Code]) -> str:
    from ..compiler.semantics.language import SPELLINGS
    from ..compiler.semantics.nearest import nearest
    from ..editor.documentation import words

    meant = nearest(name, [*codes, *words()], SPELLINGS)
    return f"`dlspec explain {meant}`" if meant else "`dlspec explain` lists all codes"


def _text(page: Page) -> str:
    """A page of the reference for a terminal: its marks are left out."""
    parts = [page.signature, page.text.replace("`", "")]
    if page.options:
        width = max(len(option.name) for option in page.options)
        told = {o.name: "" if _words(o.text) in _words(page.text) else o.text for o in page.options}
        lines = (f"    {o.name:<{width}}  {_option(o.default, o.takes, told[o.name])}" for o in page.options)
        parts.append("\n".join(line.rstrip() for line in lines))
    if page.example:
        parts.append(_indented(page.example))
    return "\n\n".join(part for part in parts if part)


def _words(text: str) -> str:
    """Text with each gap one space, and list marks left out."""
    return " ".join(text.replace("\n- ", " ").split())


def _option(default: str | None, takes: str, text: str) -> str:
    told = [text.replace("`", ""), f"takes {takes}" if takes else "", f"left out: {default}" if default else ""]
    return "; ".join(part.rstrip(".") for part in told if part)


def _json(page: Page) -> dict[str, object]:
    options = [{"name": o.name, "text": o.text, "takes": o.takes, "default": o.default} for o in page.options]
    return {"signature": page.signature, "text": page.text, "example": page.example, "options": options}


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.rstrip().splitlines())
