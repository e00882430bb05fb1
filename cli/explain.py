"""`dlspec explain`: what a code means, with a spec that has the mistake and one that has not."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from difflib import get_close_matches

from ..api.sources import WrongUse
from .codes import Code, read_codes
from .command_line import refuse_set
from .console import Console


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as shape-mismatch; left out, all are listed")


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "a code means the same in every spec")
    codes = read_codes()
    if options.code is None:
        console.document(codes=sorted(codes))
        console.print("\n".join(sorted(codes)))
        return 0
    code = codes.get(options.code.strip("[]"))
    if code is None:
        near = get_close_matches(options.code, codes, n=1)
        help = f"`dlspec explain {near[0]}`" if near else "`dlspec explain` lists all codes"
        raise WrongUse(f"there is no code {options.code}", help)
    console.document(code=code.name, text=code.text, wrong=code.wrong, right=code.right)
    console.print(f"{code.name}\n\n{code.text}")
    if code.wrong is not None and code.right is not None:
        console.print(f"\nwrong\n\n{_indented(code.wrong)}\n")
        _say_what_check_says(code, console)
        console.print(f"right\n\n{_indented(code.right)}")
    return 0


def _say_what_check_says(code: Code, console: Console) -> None:
    from ..compiler.pipeline import analyse
    from ..grammar import Source

    found = analyse(Source("spec.dlspec", code.wrong or "")).diagnostics
    console.diagnostics((d for d in found if d.code == code.name), to=console.out)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.rstrip().splitlines())
