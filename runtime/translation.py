"""Text out of text: a model that reads a source and says a target, a token at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dims import broken_bound
from .errors import Diverged, Refused
from .generate import sample
from .metadata import Metadata
from .session import Session
from .settings import Port
from .text import Marks, Tokenizer, TokenizerError, line_of, marks_of

AT_ONCE = 64
LONGER = 50
"""So many tokens longer than its source may a target get (Vaswani et al. 2017)."""


@dataclass(frozen=True)
class Translator:
    """A model with the inputs source int[B, S] and target int[B, T], and logits [B, T, vocabulary] for the token after
    each of the target."""

    session: Session
    tokenizer: Tokenizer
    marks: Marks
    source: Port
    target: Port
    output: Port

    def encode(self, line: str, where: str) -> NDArray[np.int64]:
        """The tokens of a source line, with its end. Raises Refused where the model knows or reads fewer."""
        try:
            ids = np.append(self.tokenizer.encode_array(line), self.marks.end).astype(np.int64)
        except TokenizerError as error:
            raise Refused(f"{where}: {error.message}", error.help) from None
        metadata = self.session.metadata
        broken = broken_bound(str(self.source.dims[1]), len(ids), metadata.limits, metadata.least)
        if broken:
            raise Refused(f"{where} is {len(ids):,} tokens, and {broken}", "Take a text of another length.")
        return ids

    def most(self, source: int) -> int:
        """How many tokens a target has at most, of a source of so many."""
        limit = self.session.metadata.limits.get(str(self.target.dims[1]))
        return source + LONGER if limit is None else min(limit, source + LONGER)

    def sampled(self, text: str, tokens: int, temperature: float, top_k: int | None, seed: int) -> Iterator[str]:
        """A target of one source, in pieces as they come, sampled as `generate` does."""
        source = self.encode(text, "the prompt")[None]

        def next_logits(ids: Sequence[int]) -> NDArray:
            return self._logits(source, np.array([ids], np.int64))[0]

        limit = self.session.metadata.limits.get(str(self.target.dims[1]))
        tokens = tokens if limit is None else min(tokens, limit)
        return sample(
            next_logits, self.tokenizer, [self.marks.start], tokens, temperature, top_k, seed, None, self.marks.end
        )

    def lines(self, texts: Sequence[str]) -> Iterator[str]:
        """The target of each source line, taking the most likely token each time; of an empty line an empty one."""
        encoded = [self.encode(text, f"line {number:,}") for number, text in enumerate(texts, start=1)]
        for start in range(0, len(encoded), AT_ONCE):
            targets = self._greedy(encoded[start : start + AT_ONCE])
            for text, row in zip(texts[start : start + AT_ONCE], targets, strict=True):
                said = line_of(self.tokenizer, row.tolist()) if text.strip() else ""
                yield said.replace("\n", " ")  # a line for a line

    def _greedy(self, encoded: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Targets [lines, T], as long as the longest; what follows an end is the mark that fills."""
        source = np.full((len(encoded), max(map(len, encoded))), self.marks.fill, np.int64)
        for row, ids in zip(source, encoded, strict=True):
            row[: len(ids)] = ids
        most = np.array([self.most(len(ids)) for ids in encoded])  # each its own: the others of a batch change nothing
        target = np.full((len(encoded), 1), self.marks.start, np.int64)
        ended = np.zeros(len(encoded), bool)
        while not ended.all():
            token = self._logits(source, target).argmax(-1)
            token[ended] = self.marks.fill
            target = np.concatenate([target, token[:, None]], 1)
            ended |= (token == self.marks.end) | (target.shape[1] > most)
        return target[:, 1:]

    def _logits(self, source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray:
        """[B, vocabulary] for the token after the target. A head may be wider than the vocabulary."""
        results = self.session.run({self.source.name: source, self.target.name: target})
        logits = results[self.output.name][:, -1, : self.tokenizer.vocabulary]
        if not np.isfinite(logits.max()):
            raise Diverged("the model's logits are not finite: it has diverged, or the file is damaged")
        return logits


def translator_of(session: Session) -> Translator | None:
    """How to translate with a model, or None where it is none for that."""
    found, tokenizer = translation_ports(session.metadata), session.metadata.tokenizer
    if found is None or tokenizer is None:
        return None
    marks = marks_of(tokenizer)
    return None if marks is None else Translator(session, tokenizer, marks, *found)


def translation_ports(metadata: Metadata) -> tuple[Port, Port, Port] | None:
    """Source, target and output: of two inputs of tokens the target is the one for whose places there are logits."""
    if len(metadata.inputs) != 2 or any(port.dtype != "int" or len(port.dims) != 2 for port in metadata.inputs):
        return None
    for output in metadata.outputs:
        for source, target in (metadata.inputs, metadata.inputs[::-1]):
            if output.dtype == "float" and len(output.dims) == 3 and output.dims[:2] == target.dims != source.dims:
                return source, target, output
    return None
