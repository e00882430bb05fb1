"""Whether an exported language model says what the trained one says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import Refused
from ..metadata import Metadata
from ..session import language_ports
from .bound import allowed
from .reference import Reference

STEPS = 64
PROMPT = 4


@dataclass(frozen=True)
class Greedy:
    """Of `steps` tokens `decisive` were far enough ahead of the second best to be sure; `equal` of these agree."""

    steps: int
    decisive: int
    equal: int
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.fault


def greedy_agreement(
    run: Callable[[Mapping[str, NDArray]], Mapping[str, NDArray]],
    reference: Reference,
    metadata: Metadata,
    ranges: Mapping[str, int],
    seed: int,
) -> Greedy | None:
    """Let the exported model write 64 tokens, always its best one, and ask the trained model after each.

    The trained model reads what was written once and answers for every place of it: that is the same as after every
    token where it is causal, which is tried first. None: not a causal language model, there is nothing to write.
    Where the context is short, it is written several times, from other beginnings.
    """
    try:
        source, target = language_ports(metadata)
    except Refused:
        return None
    vocabulary = ranges[source.name]
    limit = metadata.limits.get(str(source.dims[1]), STEPS + PROMPT)
    least = metadata.least.get(str(source.dims[1]), 1)
    prompt = max(least, min(PROMPT, limit - 1))
    if (
        prompt >= limit
        or vocabulary < 2
        or not _is_causal(reference, source.name, target.name, vocabulary, max(least, min(limit, 9)), seed)
    ):
        return None
    draw = np.random.default_rng(seed)
    steps = decisive = equal = 0
    while steps < STEPS:
        ids = draw.integers(0, vocabulary, (1, prompt))
        count = min(STEPS - steps, limit - prompt)
        for _ in range(count):
            best = run({source.name: ids})[target.name][:, -1, :vocabulary].argmax(-1)
            ids = np.concatenate([ids, best[:, None]], axis=1)
        read = {source.name: ids[:, :-1]}
        exact, single = reference.exact(read)[target.name], reference.single(read)[target.name]
        bound = allowed(single, exact)
        scores = exact[0, prompt - 1 :, :vocabulary]
        second, first = np.partition(scores, -2, axis=-1)[:, -2:].T
        sure = first - second > bound
        agree = scores.argmax(-1) == ids[0, prompt:]
        steps, decisive, equal = steps + count, decisive + int(sure.sum()), equal + int((sure & agree).sum())
        if (sure & ~agree).any():
            place = int((sure & ~agree).argmax())
            said, meant = int(ids[0, prompt + place]), int(scores[place].argmax())
            return Greedy(steps, decisive, equal, f"after {prompt + place} tokens it says {said}, not {meant}")
    return Greedy(steps, decisive, equal)


def _is_causal(reference: Reference, source: str, target: str, vocabulary: int, length: int, seed: int) -> bool:
    """Whether what the trained model says at a place is untouched by all later tokens."""
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, vocabulary, (1, length))
    for place in range(1, length):
        other = ids.copy()
        other[0, place:] = (other[0, place:] + 1) % vocabulary
        ours, theirs = (reference.exact({source: tokens})[target][0, :place] for tokens in (ids, other))
        if np.abs(ours - theirs).max() > 1e-9 * max(1.0, np.abs(ours).max()):
            return False
    return True
