"""Tokenizers of text: `bytes`, `characters`, `bpe(n)`, or a file of the tokenizers library."""

from __future__ import annotations

from typing import Any

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.nearest import nearest
from ..semantics.number import Number, is_whole, number, whole
from ..semantics.report import Report
from .calls import resolved
from .language import TOKENIZERS

_TAKES = '`bytes`, `characters`, `bpe(n)` or a file, such as "tokenizer.json"'
BYTES = 256


class Tokenizer(Frozen):
    """`kind` is bytes, characters, bpe or file; `size` the number of tokens that bpe learns."""

    kind: str
    size: Number | None = None
    path: str | None = None

    @property
    def vocabulary(self) -> Number | None:
        """How many tokens it has, where that is known when the spec is compiled."""
        return number(BYTES) if self.kind == "bytes" else self.size

    def as_json(self) -> dict[str, Any]:
        size = {} if self.size is None else {"size": whole(self.size)}
        return {"kind": self.kind} | size | ({} if self.path is None else {"path": self.path})


def read_tokenizer(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
    """The `Tokenizer` that `name` is given, or FAULT (reported)."""
    flow, scope = resolved(flow, scope)
    match flow:
        case tree.Stage(path=tree.Path(parts=("bpe",)), args=(size,), body=None) if not isinstance(size, tree.Keyword):
            return _subwords(size, scope, report)
        case tree.Stage(path=tree.Path(parts=("bpe",))):
            help = "write `bpe(8_000)`"
            report.error("wrong-value", "`bpe` takes the number of its tokens", flow.span, "here", help=help)
            return FAULT
        case tree.Stage(path=tree.Path(parts=(("bytes" | "characters") as word,)), args=None | (), body=None):
            return Tokenizer(word)
        case tree.Stage(path=tree.Path(parts=(word,)) as path, args=args) if scope.find(word) is None:
            meant = nearest(word, TOKENIZERS.words, TOKENIZERS.spellings)
            meant = "bpe(8_000)" if meant == "bpe" and args is None else meant
            help = f"write `{meant}`" if meant else ""
            fixes = (Fix(path.span, meant),) if meant else ()
            report.error(
                "wrong-value", f"`{name}` takes {_TAKES}", path.span, "not a tokenizer", help=help, fixes=fixes
            )
            return FAULT
    value = evaluate(flow, scope, report)
    if value is FAULT:
        return FAULT
    if not isinstance(value, str) or not value:
        report.error("wrong-value", f"`{name}` takes {_TAKES}", flow.span, "not a tokenizer")
        return FAULT
    if value in ("bytes", "characters"):
        return Tokenizer(value)
    return Tokenizer("file", path=value)


def _subwords(flow: tree.Flow, scope: Scope, report: Report) -> Any:
    size = evaluate(flow, scope, report)
    if size is FAULT:
        return FAULT
    if not is_number(size) or not is_whole(size) or whole(size) < BYTES:
        takes = f"`bpe` takes a whole number of at least {BYTES}: the bytes come first"
        report.error("wrong-value", takes, flow.span, "the number of tokens", help="write `bpe(8_000)`")
        return FAULT
    return Tokenizer("bpe", size)
