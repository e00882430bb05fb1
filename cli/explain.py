"""`dlspec explain`: what a code means, with a spec that has the mistake and one that has not; or what a word means."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from .codes import Code, read_codes
from .command_line import refuse_set
from .console import Console

if TYPE_CHECKING:
    from ..editor.documentation import Option, Page


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
    if _word(name, console):
        return 0
    here, folder = _spelled_here(name)
    if here is not None:
        console.print(f"{name} of other tools is written {here} here.\n")
        if not _word(here.partition("(")[0].partition(" ")[0], console, folder):
            console.document(word=here)
        return 0
    raise WrongUse(f"there is no code and no word {options.code}", _nearest(name, codes))


def _word(name: str, console: Console, folder: str | None = None) -> bool:
    """Tell what a word means: one of the language (in `folder` of training alone, where that is known), an option, or
    what an option takes; whether it means anything."""
    from ..editor.documentation import call, calls_a_key, options_named, options_taking, pages
    from ..editor.keywords import KEYWORDS

    alone = None if folder is None else call(folder, name)
    found = (alone,) if alone is not None else (KEYWORDS[name],) if name in KEYWORDS else pages(name)
    if found:
        console.document(word=name, pages=[_json(page) for page in found])
        console.print("\n\n".join(map(_text, found)))
        # A call of a key that goes by the name of an option elsewhere: the pages alone would hide the other.
        others = [(page.word, o) for page, o in options_named(name)] if calls_a_key(name) else []
        lines = [f"    {of}  {_option(o.default, o.takes, o.text)}" for of, o in others]
        if lines:
            console.print(f"\n{name} is an option too, of\n\n" + "\n".join(lines))
        return True
    if named := options_named(name):
        rows = [(page.word, page.word, option) for page, option in named]
    elif taking := options_taking(name):
        rows = [(f"{option.name} of {word}", word, option) for word, option in taking]
    else:
        return False
    console.document(word=name, options=[{"of": of} | _option_json(option) for _, of, option in rows])
    width = max(len(head) for head, _, _ in rows)
    lines = (f"    {head:<{width}}  {_option(o.default, o.takes, o.text)}".rstrip() for head, _, o in rows)
    console.print(f"{name} is {'an option' if named else 'a word'} of\n\n" + "\n".join(lines))
    return True


def _spelled_here(name: str) -> tuple[str | None, str | None]:
    """What other tools' word is in this language, and the folder of training that it is in, if that is where it comes
    from; in Python's a module may stand before it, as in `nn.Linear`."""
    from ..compiler.semantics.language import OPTION_SPELLINGS, SPELLINGS, TRAIN_SPELLINGS
    from ..compiler.training.language import LOSSES, METRICS, OPTIMIZERS, SCHEDULES
    from ..editor.documentation import pages

    *modules, word = name.split(".")
    of_training = {"losses": LOSSES, "metrics": METRICS, "optimizers": OPTIMIZERS, "schedules": SCHEDULES}
    tables = [(None, spellings) for spellings in (SPELLINGS, TRAIN_SPELLINGS, OPTION_SPELLINGS)]
    for written in (word, word.lower()):
        for folder, spellings in (*tables, *((name, known.spellings) for name, known in of_training.items())):
            if written in spellings:
                return spellings[written].replace("{}", "..."), folder
    return (word if modules and pages(word) else None), None


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
    options = [_option_json(option) for option in page.options]
    return {"signature": page.signature, "text": page.text, "example": page.example, "options": options}


def _option_json(option: Option) -> dict[str, object]:
    return {"name": option.name, "text": option.text, "takes": option.takes, "default": option.default}


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.rstrip().splitlines())
