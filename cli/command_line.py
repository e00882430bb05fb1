"""What every verb takes, and what a verb is: `add_arguments(parser)` and `run(options, console) -> exit code`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn, Protocol

from ..api.sources import WrongUse
from .console import Console


class Verb(Protocol):
    """A module of this folder."""

    @staticmethod
    def add_arguments(parser: ArgumentParser) -> None: ...

    @staticmethod
    def run(options: Namespace, console: Console) -> int: ...


class _Helped(Exception):
    """`--help` was asked for and is given as text."""


class _Parser(ArgumentParser):
    """An argparse parser that raises in place of printing and leaving."""

    def error(self, message: str) -> NoReturn:
        raise WrongUse(f"{self.prog}: {message}", f"`{self.prog} --help` says what it takes")

    def print_help(self, file: object = None) -> None:
        raise _Helped(self.format_help())


def load_verb(name: str, known: Iterable[str]) -> Verb:
    """The module of a verb. Raises WrongUse for what is none."""
    names = list(known)
    if name in names:
        return import_module(f".{name.replace('-', '_')}", __package__)  # pyright: ignore[reportReturnType]  a module is what the protocol says
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    what = "option" if name.startswith("-") else "verb"
    help = f"`dlspec {near[0]}`" if near else "`dlspec --help` lists the verbs"
    raise WrongUse(f"dlspec has no {what} `{name}`", help)


def parse_words(name: str, summary: str, verb: Verb, words: Sequence[str], console: Console) -> Namespace | None:
    """The options of a verb; None where its help was asked for, and printed. Raises WrongUse."""
    parser = _Parser(prog=f"dlspec {name}", description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False)
    verb.add_arguments(parser)
    common = parser.add_argument_group("common options")
    common.add_argument("--json", action="store_true", help="JSON on standard output, and nothing else there")
    common.add_argument("--quiet", action="store_true", help="only what was asked for, and errors")
    common.add_argument("--strict", action="store_true", help="warnings and notes end with exit code 1")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a constant of the spec, or a path: --set depth=4 --set train.optimizer.lr=3e-4",
    )
    try:
        options, unknown = parser.parse_known_args(list(words))
    except _Helped as help:
        Console(console.out, console.err).print(str(help).rstrip())
        return None
    if unknown:
        raise _no_option(name, unknown)
    _refuse_set_again(options.set)
    return options


def _no_option(verb: str, unknown: Sequence[str]) -> WrongUse:
    from .options_of_others import written_here  # only a mistake waits for it

    help = written_here(verb, unknown) or f"`dlspec {verb} --help` says what it takes"
    return WrongUse(f"dlspec {verb}: unrecognized arguments: {' '.join(unknown)}", help)


def _refuse_set_again(given: Sequence[str]) -> None:
    """Raises WrongUse where a name, or what a path leads into, is set once more: what was given first would be lost."""
    before: dict[str, str] = {}
    for text in given:
        name = text.partition("=")[0].strip()
        lost = next((first for path, first in before.items() if f"{path}.".startswith(f"{name}.")), None)
        if lost is not None:
            raise WrongUse(f"--set {text} sets anew what --set {lost} has set", "take one of them out")
        before[name] = text


def refuse_set(options: Namespace, why: str) -> None:
    """For verbs with no spec to change. Raises WrongUse where `--set` was given."""
    if options.set:
        raise WrongUse(f"--set {options.set[0]} has nothing to change here: {why}")
