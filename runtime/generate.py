"""Text from a language model, a token at a time. The sampler is numpy: it is the same for torch and for ONNX."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import Diverged, RuntimeFault
from .text import Tokenizer, TokenizerError

NextLogits = Callable[[Sequence[int]], NDArray]


def generate(
    next_logits: NextLogits,
    tokenizer: Tokenizer,
    prompt: str,
    tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    context: int | None = None,
) -> Iterator[str]:
    """What the model says after `prompt`, in pieces as they come; the prompt is not among them.

    `next_logits` gives the scores of the next token after the last `context` ids. Temperature 0 takes the best token
    each time (the first of equals). The same seed gives the same text wherever the logits are the same. After an empty
    prompt the model goes on as after a new line, or, where it knows none, after the first entry of its vocabulary.
    Raises RuntimeFault for arguments out of range, TokenizerError for a prompt that it cannot say.
    """
    ids = tokenizer.encode(prompt) or [first_token(tokenizer)]
    return sample(next_logits, tokenizer, ids, tokens, temperature, top_k, seed, context)


def sample(
    next_logits: NextLogits,
    tokenizer: Tokenizer,
    ids: list[int],
    tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    context: int | None,
    end: int | None = None,
) -> Iterator[str]:
    """What the model says after the tokens `ids`, as `generate`, until it says `end`, which is not among the text."""
    if tokens < 1:
        raise RuntimeFault(f"{tokens} tokens cannot be generated", "Ask for at least 1.", exit_code=2)
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise RuntimeFault(f"temperature is {temperature}", "Give 0 (always the best token) or more.", exit_code=2)
    if top_k is not None and top_k < 1:
        raise RuntimeFault(f"top-k is {top_k}", "Give the number of tokens to choose among, at least 1.", exit_code=2)
    if context is not None and context < 1:
        raise RuntimeFault(f"the context is {context} tokens", exit_code=2)
    return _stream(next_logits, tokenizer, list(ids), tokens, temperature, top_k, seed, context, end)


def first_token(tokenizer: Tokenizer) -> int:
    """What stands for an empty prompt."""
    try:
        (token,) = tokenizer.encode("\n")
    except (TokenizerError, ValueError):  # no new line in the vocabulary, or more than one token for it
        return 0
    return token


def choose(logits: NDArray, temperature: float, top_k: int | None, draw: float) -> int:
    """A token by softmax(logits / temperature) over the `top_k` best (lower ids first among equals).

    `draw` in [0, 1) decides: it is looked up in the cumulative distribution. Raises Diverged for NaN.
    """
    scores = np.asarray(logits, np.float64)
    best = scores.max()
    if not np.isfinite(best):
        raise Diverged("the model's logits are not finite: it has diverged, or the file is damaged")
    if temperature == 0:
        return int(scores.argmax())
    with np.errstate(over="ignore"):  # a tiny temperature makes all but the best impossible
        weights = np.exp((scores - best) / temperature)
    if top_k is not None and top_k < len(scores):
        weights = np.where(_best(scores, top_k), weights, 0.0)
    cumulative = weights.cumsum()
    place = np.searchsorted(cumulative, draw * cumulative[-1], side="right")
    return int(min(place, np.flatnonzero(weights)[-1]))  # draw * sum may round up to the sum


def _best(scores: NDArray, count: int) -> NDArray[np.bool_]:
    least = np.partition(scores, -count)[-count]
    chosen = scores > least
    equals = np.flatnonzero(scores == least)
    chosen[equals[: count - np.count_nonzero(chosen)]] = True
    return chosen


def _stream(
    next_logits: NextLogits,
    tokenizer: Tokenizer,
    ids: list[int],
    tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    context: int | None,
    end: int | None,
) -> Iterator[str]:
    draws = random.Random(seed)  # of all generators the one that promises its numbers to stay
    decoding = tokenizer.decoding()
    for _ in range(tokens):
        logits = next_logits(ids if context is None else ids[-context:])
        # A head may be wider than the vocabulary, rounded up for speed.
        token = choose(logits[: tokenizer.vocabulary], temperature, top_k, draws.random())
        if token == end:
            break
        ids.append(token)
        if piece := decoding.feed(token):
            yield piece
    if piece := decoding.close():
        yield piece
