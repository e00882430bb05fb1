"""`dlspec lsp`: the language server, started by editors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..api.sources import WrongUse
from .command_line import refuse_set
from .console import Console


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "It speaks the Language Server Protocol on standard input and output."


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "an editor shows a spec as it is written")
    try:
        from ..editor.server import serve
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise WrongUse("the language server needs pygls", "`pip install 'dlspec[editor]'` brings it") from None
    serve()
    return 0
