"""Which option of a call in a recipe is meant by a value that stands first, without a name."""

from __future__ import annotations

from . import registry
from .base import Options
from .cadence import OF_KEYS
from .key_pages import KEY_PAGES
from .measure import Measure


def leading_option(key: str, word: str) -> str | None:
    """Its name, for a call of `word` in the line of `key`; None where there is no such call, or it has no such option:
    first in a loss stands what is compared."""
    page = KEY_PAGES.get(key)
    folders = [] if page is None else [folder for folder in (page.folder, page.behind) if folder is not None]
    found = [OF_KEYS.get(key), *(registry.find(folder, word, Options) for folder in folders)]
    kind = next((kind for kind in found if kind is not None and kind.word == word), None)
    return None if kind is None or issubclass(kind, Measure) else next(iter(kind.options), None)
