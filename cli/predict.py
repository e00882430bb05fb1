"""`dlspec predict`: the outputs of a model for examples out of a file."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from .console import Console
from .model_session import add_model_arguments, open_session


def add_arguments(parser: ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--input", required=True, metavar="FILE", type=Path, help="a .npy, .npz, .json or picture")


def run(options: Namespace, console: Console) -> int:
    session = open_session(options, console)
    from ..runtime.predict import predict, read_examples

    results = predict(session, read_examples(options.input, session.metadata))
    if console.json:
        console.document(outputs=list(results))
        return 0
    for number, outputs in enumerate(results, start=1):
        told = ", ".join(f"{name} {_shown(value)}" for name, value in outputs.items())
        console.print(f"{number}: {told}")
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['class']} ({value['probability']:.2%})"
    return json.dumps(value)
