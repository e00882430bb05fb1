"""What the reference takes from the language itself: each section makes Markdown of the words it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import combinators, commands, errors, grammar, layers, library, training

SECTIONS: dict[str, Callable[[Sequence[str]], str]] = {
    "grammar": grammar.productions,
    "reserved": grammar.reserved,
    "library": library.files,
    "layers": layers.entries,
    "activations": layers.activations,
    "others": layers.others,
    "maths": layers.maths,
    "combinators": combinators.entries,
    "keys": training.keys,
    "calls": training.calls,
    "commands": commands.verbs,
    "errors": errors.codes,
}
