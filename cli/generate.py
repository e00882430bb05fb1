"""`dlspec generate`: text from a language model, or the target of a source, as it comes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..runtime.errors import Refused
from .console import Console
from .model_session import add_model_arguments, open_session

if TYPE_CHECKING:
    from ..runtime.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--prompt",
        required=True,
        metavar="TEXT",
        help="what the model goes on from, or the source that it is to say a target of",
    )
    parser.add_argument("--tokens", type=int, default=200, metavar="N", help="how many tokens to write (200)")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="0 takes the best each time (1.0)")
    parser.add_argument("--top-k", type=int, metavar="K", help="choose among the K best only")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed gives the same text (0)")


def run(options: Namespace, console: Console) -> int:
    session = open_session(options, console)
    from ..runtime.translation import translator_of

    translator = translator_of(session)
    pieces = (
        _going_on(session, options)
        if translator is None
        else translator.sampled(options.prompt, options.tokens, options.temperature, options.top_k, options.seed)
    )
    if console.json:
        console.document(prompt=options.prompt, text="".join(pieces))
        return 0
    if translator is None:
        console.stream(options.prompt)
    for piece in pieces:
        console.stream(piece)
    console.print()
    return 0


def _going_on(session: Session, options: Namespace) -> Iterator[str]:
    """What a language model says after the prompt. Raises Refused where it is none."""
    from ..runtime.generate import generate

    tokenizer = session.metadata.tokenizer
    context = session.context  # says what is wrong where this is no language model
    if tokenizer is None:
        raise Refused(f"{options.model} has no tokenizer: it was trained on tokens, not on text")
    return generate(
        session.next_logits,
        tokenizer,
        options.prompt,
        options.tokens,
        options.temperature,
        options.top_k,
        options.seed,
        context,
    )
