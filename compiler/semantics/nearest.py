"""Did you mean: the name that is legal here and nearest to what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def nearest(word: str, legal: Iterable[str], spellings: Mapping[str, str] | None = None) -> str | None:
    """The legal name that was probably meant, or None.

    Other tools' words (`spellings`) come first where they lead to a legal name, then a difference of case or
    underscores, then a small edit.
    """
    names = sorted(set(legal))
    translated = (spellings or {}).get(word)
    if translated in names:
        return translated
    folded = {_fold(name): name for name in reversed(names)}
    if _fold(word) in folded:
        return folded[_fold(word)]
    from difflib import get_close_matches  # only a spec with a mistake waits for it

    close = get_close_matches(_fold(word), folded, n=1, cutoff=0.65 if len(word) > 3 else 0.55)
    return folded[close[0]] if close else None


def _fold(name: str) -> str:
    return name.lower().replace("_", "")
