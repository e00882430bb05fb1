"""text: running text from files, cut into windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from ...layers.options import Whole
from ...options import Kind
from ...semantics.number import whole
from ..base import ReadBy
from ..language import TOKENIZERS
from ..source import DataSource, Field, keeps_some, split_settings, windows
from ..tokenizers import Tokenizer, read_tokenizer
from ..values import Files, Split


class Text(DataSource):
    """`text("corpus/*.txt", tokenizer = bpe(8_000), window = 256)`: windows over the files, joined in their order.

    Fields: `tokens` and `targets`, int[window], the targets one token further on. `tokenizer` is `bytes` (256 tokens;
    what is taken where it is left out), `characters` (those that occur), `bpe(n)` (byte-level, learned from the
    training part; Sennrich et al. 2016) or a tokenizer.json of the tokenizers library. `split` cuts the text, in
    order, into its training and validation parts: [0.9, 0.1] where it is left out. Paths are relative to the spec.
    """

    word: ClassVar[str] = "text"
    example: ClassVar[str] = 'text("corpus/*.txt", tokenizer = characters, window = 64)'
    vocabulary: ClassVar[bool] = True
    following: ClassVar[Mapping[str, str]] = {"targets": "tokens"}

    files: Files
    tokenizer: Annotated[Tokenizer, Kind(lambda value: value), ReadBy(read_tokenizer, TOKENIZERS.words)] = Tokenizer(
        "bytes"
    )
    window: Whole
    split: Split = None

    def fields(self) -> Mapping[str, Field]:
        return windows(self.window, self.tokenizer.vocabulary)

    def settings(self) -> dict[str, Any]:
        return {
            "files": list(self.files),
            "tokenizer": self.tokenizer.as_json(),
            "window": whole(self.window),
        } | split_settings(self.split)

    def validates(self) -> bool:
        return keeps_some(self.split)

    def tokenizes(self) -> bool:
        return True
