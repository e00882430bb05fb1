"""What a `train` or `export` section may say: its keys, and the classes that they call."""

from __future__ import annotations

from collections.abc import Sequence

from dlspec.compiler.options import Kind
from dlspec.compiler.training import registry
from dlspec.compiler.training.base import Options
from dlspec.compiler.training.key_pages import KeyPage
from dlspec.compiler.training.lines import REQUIRED
from dlspec.compiler.training.run import Run
from dlspec.editor import documentation

from .markdown import LATER, entry, option_table
from .samples import train_line


def keys(words: Sequence[str]) -> str:
    return "\n\n".join(map(_key, words or documentation.key_words(phase=False)))


def calls(words: Sequence[str]) -> str:
    """All that the registries named have."""
    return "\n\n".join(_call(folder, word) for folder in words for word in registry.words(folder))


def _key(word: str) -> str:
    page, found = documentation.key(word), documentation.key_entry(word)
    assert page is not None and found is not None
    later = LATER if train_line(found.example).diagnostics else ""
    own = [one for one in documentation.calls_of_key(word) if found.folder is None]
    called = [text for one in own for text in (one.text, option_table(one))]
    return entry(
        f"`{word}`", later, page.text, _values(word, found), f"```dlspec in train\n{found.example}\n```", *called
    )


def _values(word: str, page: KeyPage) -> str:
    """What a key takes, where a call of its own does not say it."""
    if page.folder is not None or page.words is not None:
        words = (
            registry.words(page.folder) if page.folder is not None else sorted(page.words.words if page.words else ())
        )
        return f"It takes {', '.join(f'`{one}`' for one in words)}."
    field = Run.options.get(word)
    if field is None or field.kind is None:
        return ""
    usual = str(field.default).lower() if isinstance(field.default, bool) else field.default
    usual = None if word in REQUIRED else usual
    default = "" if usual is None else f" ({usual} if left out)"
    return f"It takes {_refusal(field.kind)}{default}."


def _refusal(kind: Kind) -> str:
    """What a kind of value takes, in the words in which it refuses all else."""
    try:
        kind.check(object())
    except ValueError as refusal:
        return str(refusal).removesuffix(" or none")
    raise AssertionError(kind)


def _call(folder: str, word: str) -> str:
    kind, page = registry.find(folder, word, Options), documentation.call(folder, word)
    assert kind is not None and page is not None
    return entry(
        word, "" if kind.runs else LATER, page.text, option_table(page, kind.later), f"Example: `{page.example}`"
    )
