"""`dlspec new`: a spec to start from."""

from __future__ import annotations

import keyword
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from difflib import get_close_matches
from pathlib import Path

from ..api.sources import WrongUse
from ..runtime.errors import Refused
from .command_line import refuse_set
from .console import Console

SPECS = Path(__file__).resolve().parents[1] / "specs"
NEXT_STEPS = """\
#
#   dlspec check {name}.dlspec     finds every error before anything runs
#   dlspec plan {name}.dlspec      says what it costs
#   dlspec train {name}.dlspec     trains it into runs/{name}-1
#   dlspec export runs/{name}-1 -o models
#
# `--set name=value` on any of them changes a constant for once.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="NAME.dlspec is written")
    parser.add_argument("--from", dest="template", default="digits", metavar="SPEC", help="one of those below (digits)")
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = f"specs to start from:\n{_listed()}"


def templates() -> list[str]:
    """The specs that ship."""
    return sorted(path.stem for path in SPECS.glob("*.dlspec"))


def _listed() -> str:
    """The specs that ship, a line each, with what their first comment says of them."""
    width = max(map(len, templates()))
    return "\n".join(f"  {name:<{width}}  {_about(name)}" for name in templates())


def _about(template: str) -> str:
    with (SPECS / f"{template}.dlspec").open(encoding="utf-8") as file:
        return next(line for line in file if line.startswith("#")).strip("# \n")


def find_templates(word: str) -> list[str]:
    """The specs that a word may mean, the one that is taken first: `resnet` is resnet18 or another of its family,
    `GPT-2` and `gpt2` are gpt, `gan` is dcgan. Raises WrongUse where it means none."""
    plain = "".join(c for c in word.lower() if c.isalnum())
    known = templates()
    if plain in known:
        return [plain]
    begun = [name for name in known if plain.startswith(name) or (len(plain) > 2 and name.startswith(plain))]
    ended = [name for name in known if len(plain) > 2 and name.endswith(plain)]
    if begun or len(ended) == 1:
        return [*begun, *(name for name in ended if name not in begun)]  # the first of a family is its smallest
    # Of three letters one is a third: `cnn` is no slip of `rnn`, as `gtp` is of `gpt`.
    near = [name for name in get_close_matches(plain, known, n=1) if len(plain) > 3 or sorted(name) == sorted(plain)]
    help = f"`--from {near[0]}`" if near else f"there are:\n{_listed()}"
    raise WrongUse(f"there is no spec {word} to start from", help)


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "write the value into the new file")
    template, *others = find_templates(options.template)
    path = Path(options.name)
    name = path.name.removesuffix(".dlspec")
    path = path.with_name(f"{name}.dlspec")
    if not name.isidentifier() or keyword.iskeyword(name):
        meant = "".join(c if c.isalnum() else "_" for c in name)
        raise WrongUse(
            f"{name} cannot be the name of a spec: the emitted module is called after it",
            f"`dlspec new {meant}`" if meant.isidentifier() and not keyword.iskeyword(meant) else "use letters and `_`",
        )
    text = _text(template, name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"{path} exists already", "Give another name.") from None
    if others:
        console.say(f"{options.template} may be {', '.join([template, *others])}: the first is taken")
    console.say(f"{path}: from {template}; `dlspec check {path}`")
    trains = _trains(text, path.name)
    if not trains:
        console.note(f"this version cannot train it yet: `dlspec check {path}` says what is missing")
    console.document(file=str(path), template=template, others=others, trains=trains)
    return 0


def _trains(text: str, name: str) -> bool:
    """Whether this version can run all of the recipes."""
    from ..api.compilation import missing_to_train
    from ..compiler.pipeline import analyse
    from ..grammar import Source

    analysis = analyse(Source(name, text))
    assert analysis.spec is not None
    return not any(missing_to_train(analysis, recipe) for recipe in analysis.spec.scope.recipes.values())


def _text(template: str, name: str) -> str:
    """The template with files called after the new name, and what to do next below its first comment."""
    text = (SPECS / f"{template}.dlspec").read_text(encoding="utf-8").replace(f'"{template}.', f'"{name}.')
    header, _, rest = text.partition("\n\n")
    return f"{header}\n{NEXT_STEPS.format(name=name)}\n{rest}"
