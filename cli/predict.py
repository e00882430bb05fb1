"""`dlspec predict`: the outputs of a model for examples out of a file."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.errors import Refused
from .console import Console
from .model_session import add_model_arguments, open_session

if TYPE_CHECKING:
    from ..runtime.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        required=True,
        metavar="FILE",
        type=Path,
        help="a .npy, .npz, .json or picture; rows of a table as .csv, .jsonl or .parquet; lines to translate as .txt",
    )


def run(options: Namespace, console: Console) -> int:
    session = open_session(options, console)
    from ..runtime.predict import TEXT, predict, read_examples

    if options.input.suffix.lower() == TEXT:
        return _translate(session, options.input, console)
    results = predict(session, read_examples(options.input, session.metadata))
    if console.json:
        console.document(outputs=list(results))
        return 0
    for number, outputs in enumerate(results, start=1):
        told = ", ".join(f"{name} {_shown(value)}" for name, value in outputs.items())
        console.print(f"{number}: {told}")
    return 0


def _translate(session: Session, path: Path, console: Console) -> int:
    """A target for each line of a text: a line of output each, so that they stay side by side."""
    from ..runtime.predict import read_lines
    from ..runtime.translation import translator_of

    translator = translator_of(session)
    if translator is None:
        hint = "For text there is `dlspec generate`." if session.metadata.tokenizer else ""
        raise Refused(f"{path.name} is text, and the model does not make text of text", hint)
    lines = translator.lines(read_lines(path))
    if console.json:
        console.document(outputs=[{translator.target.name: line} for line in lines])
        return 0
    for line in lines:
        console.print(line)
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['class']} ({value['probability']:.2%})"
    return json.dumps(value)
