"""Options that other tools have on the command line, and this one in the spec: what to write for them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# Verbs that read a recipe, of a file or of a run.
_READ_A_RECIPE = frozenset({"check", "plan", "emit", "train", "resume", "verify-resume", "bench"})
_OTHERS = {
    "resume": "`dlspec resume RUN` goes on with a run",
    "gpu": "`--device cuda`",
    "cuda": "`--device cuda`",
    "cpu": "`--device cpu`",
}


def written_here(verb: str, unknown: Sequence[str]) -> str | None:
    """What to write for words that no option of the verb takes: `--set train.epochs=3` for `--epochs 3`."""
    if verb not in _READ_A_RECIPE:
        return None
    others = [_OTHERS[name] for name in map(_name, unknown) if name in _OTHERS and verb == "train"]
    if others:
        return others[0]
    settings = [_setting(word, unknown[i + 1 : i + 2]) for i, word in enumerate(unknown) if word.startswith("-")]
    found = [f"--set {shlex.quote(setting)}" for setting in settings if setting is not None]
    return f"what a recipe says is changed by `{' '.join(found)}`" if found else None


def _name(word: str) -> str:
    return word.lstrip("-").partition("=")[0].replace("-", "_") if word.startswith("-") else ""


def _is_value(word: str) -> bool:
    return not word.startswith("--") and not word.endswith(".dlspec")


def _setting(word: str, behind: Sequence[str]) -> str | None:
    """`train.epochs=3` for `--epochs 3` and `--epochs=3`; None for what no recipe has."""
    from ..compiler.semantics.language import TRAIN_KEYS, TRAIN_SPELLINGS
    from ..compiler.training.language import ELSEWHERE

    name = _name(word)
    given = word.partition("=")[2] or next(filter(_is_value, behind), "...")
    key = TRAIN_SPELLINGS.get(name, name)
    if key in TRAIN_KEYS:
        return f"train.{key}={given}"
    elsewhere = ELSEWHERE.get(name)
    return f"train.{elsewhere.key}.{elsewhere.name}={given}" if elsewhere is not None and elsewhere.name else None
