"""Did you mean: the name that is legal here and nearest to what was written.

Nearness is the number of slips between two names: a letter too many, one too few, another one, or two neighbours
swapped (Damerau and Levenshtein). Letters count alike wherever they lie on a keyboard. Capital names make modules and
others do not, so that a name of the other kind has to be nearer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise


def nearest(word: str, legal: Iterable[str], spellings: Mapping[str, str] | None = None) -> str | None:
    """The legal name that was probably meant, or None.

    Other tools' words (`spellings`) come first where they lead to a legal name, then a difference of case or
    underscores, then a few slips, then a name that has all words of the other (`use_bias`, `bias`), then one that the
    other begins with (`optim`, `optimizer`).
    """
    names = legal if isinstance(legal, set | frozenset | dict) else set(legal)
    translated = (spellings or {}).get(word)
    if translated in names:
        return translated
    folded, letters = _traits(word)
    best: tuple[int, bool, int, str] | None = None
    most = len(folded)  # slips that are too many
    for name in names:
        other, others = _traits(name)
        of_other_kind = word[:1].isupper() != name[:1].isupper()
        allowed = min(most, _slips_allowed(max(len(folded), len(other)), of_other_kind))
        # A slip changes the length by one at most, and the letters that a word has by two.
        if abs(len(folded) - len(other)) > allowed or (letters ^ others).bit_count() > 2 * allowed:
            continue
        slips = _slips(folded, other, allowed)
        if slips <= allowed:
            rank = (slips, of_other_kind, -_shared_beginning(folded, other), name)
            if best is None or rank < best:
                best, most = rank, slips
    if best:
        return best[-1]
    return _of_the_same_words(word, names) or _of_the_same_beginning(word, names)


def is_slip(word: str, names: Iterable[str]) -> bool:
    """Whether a word is one of the names but for one slip of the hand, where it may be another name of its own: numbers
    are no slips, nor is a letter more in a short name, unless it is a double one."""
    return any(_is_slip(word, name) for name in names)


def _is_slip(word: str, name: str) -> bool:
    if word == name or abs(len(word) - len(name)) > 1 or min(len(word), len(name)) < 4:
        return False
    if word[0].isupper() != name[0].isupper() or re.sub(r"\D", "", word) != re.sub(r"\D", "", name):
        return False
    if len(name) < len(word) < 7:
        return any(a == b and word[:i] + word[i + 1 :] == name for i, (a, b) in enumerate(pairwise(word)))
    return max(len(word), len(name)) > 4 and _slips(word, name, 1) == 1


@lru_cache(maxsize=1 << 16)
def _traits(name: str) -> tuple[str, int]:
    """A name without what is easily got wrong, and the set of its letters as the bits of a number."""
    folded = name.lower().replace("_", "")
    letters = 0
    for letter in folded:
        letters |= 1 << (ord(letter) & 63)
    return folded, letters


def _slips_allowed(letters: int, of_other_kind: bool) -> int:
    """One in a short name, two from seven letters on, and so forth: `swiglu` is not `silu`."""
    if letters < 3:
        return 0 if of_other_kind else letters - 1
    return 1 if of_other_kind else max(1, (letters - 1) // 3)


def _slips(a: str, b: str, most: int) -> int:
    """The slips between two words, or some number above `most`."""
    if a == b or not most:
        return 0 if a == b else 1
    above: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        two_above, above, row = above, row, [i]
        for j, other in enumerate(b, 1):
            fewest = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                fewest = min(fewest, two_above[j - 2] + 1)
            row.append(fewest)
        if min(row) > most:
            return most + 1
    return row[-1]


def _shared_beginning(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _of_the_same_words(word: str, names: Iterable[str]) -> str | None:
    """The name with the fewest other words."""
    own, sayings, singular = _words(word)
    found: list[tuple[int, str]] = []
    for name in names:
        words, say, one = _words(name)
        if sayings and say and (say <= sayings or sayings <= say or one == singular):
            found.append((len(own ^ words), name))
    return min(found)[-1] if found else None


@lru_cache(maxsize=1 << 16)
def _words(name: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The words of a name in the singular, those that say something by themselves, and these in the singular."""
    words = name.lower().split("_")
    sayings = [word for word in words if len(word) > 2]
    return _singular(words), frozenset(sayings), _singular(sayings)


def _singular(words: list[str]) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in words)


def _of_the_same_beginning(word: str, names: Iterable[str]) -> str | None:
    """The shortest name of the same kind that the word begins, or that begins with it."""
    folded, _ = _traits(word)
    found: list[tuple[int, str]] = []
    for name in names:
        other, _ = _traits(name)
        shorter = min(len(folded), len(other))
        if shorter > 2 and folded[:shorter] == other[:shorter] and word[:1].isupper() == name[:1].isupper():
            found.append((abs(len(folded) - len(other)), name))
    return min(found)[-1] if found else None
