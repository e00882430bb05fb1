"""`make docs`: writes the gallery, docs/gallery/: each system with its picture, spec, size and what it reached.

What it reached is read from benchmarks/results/; nothing is said where nothing was measured.
"""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from curves import Curve, drawn
from sections.markdown import table

import dlspec
from dlspec.compiler.backends.plan import plan
from dlspec.compiler.backends.svg import svg_text
from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source, tree

HERE = Path(__file__).resolve().parent
SPECS = Path(dlspec.__file__).parent / "specs"
RESULTS = HERE.parent / "benchmarks" / "results"

FAMILIES = {
    "Dense": "logistic digits mlp autoencoder vae",
    "Convolution": (
        "lenet convnet alexnet vgg googlenet resnet18 resnet50 preresnet digits_resnet densenet efficientnet highway "
        "unet"
    ),
    "Recurrent": "rnn lstm gru bilstm addition seq2seq",
    "Transformer": "transformer gpt chargpt reversal bert t5 vit llama gemma2 mixtral",
    "Generative and self-supervised": "dcgan simclr moco roberta",
    "Transfer": "transfer",
}

SHEETS = {
    "vae": "trained on Fashion-MNIST",
    "dcgan": "a quarter as wide, after fifteen passes over 10,000 pictures of Fashion-MNIST; the generator moved twice "
    "for each move of the critic",
}
"""The systems of which there is a sheet of pictures, and how they were trained for it."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    reached = {**_classics(), **_baby_gpt(), **_probe(), **_multi30k()}
    lines = ["# Gallery", "", _INTRODUCTION, ""]
    for family, names in FAMILIES.items():
        rows = []
        for name in names.split():
            graph, text, recipe = _system(name)
            size = f"{plan(graph).parameters:,}"
            _write(folder / f"{name}.svg", svg_text(graph))
            _write(folder / f"{name}.md", _page(name, text, recipe, size, reached.get(name, "")))
            rows.append((f"[{name}]({name}.md)", _headline(text), size, reached.get(name, "")))
        lines += [f"## {family}", "", table(("spec", "what it is", "parameters", "reached"), rows), ""]
    lines += _norm_placement(folder)
    _write(folder / "README.md", "\n".join(lines))


_INTRODUCTION = """Every system that ships in `specs/`, each in under 60 lines, drawn by `dlspec show --svg`. Its size
is what `dlspec plan` counts, and the tests hold it to the published one. What a system reached was measured by the
scripts in `benchmarks/`; where nothing stands, tests train it for some steps at a reduced size, and no more."""


def _system(name: str) -> tuple[Graph, str, tree.Train]:
    """The model that the last recipe of a spec trains, the spec's text, and the recipe."""
    text = (SPECS / f"{name}.dlspec").read_text(encoding="utf-8")
    found = analyse(Source(f"{name}.dlspec", text))
    assert found.spec is not None and not found.failed, [d.message for d in found.diagnostics]
    *_, recipe = found.spec.scope.recipes.values()
    return found.graphs[recipe.model.text], text, recipe


def _headline(text: str) -> str:
    """What the comment at the top says, up to the size."""
    comment = " ".join(line.removeprefix("# ") for line in text.splitlines()[1:] if line.startswith("# "))
    return comment.partition(":")[0].partition(", about")[0].rstrip(".")


def _training(name: str, recipe: tree.Train) -> str:
    """How one trains it, and the files that it looks for."""
    keys = {line.name.text: line.span.text for line in recipe.body.lines if isinstance(line, tree.Binding)}
    alone = " --set train.parallel=none" if "parallel" in keys else ""
    says = [f"`dlspec train {name}.dlspec{alone}` trains it{' on one device' if alone else ''}"]
    named = {key: [f"`{file}`" for file in re.findall('"([^"]+)"', keys.get(key, ""))] for key in ("data", "start")}
    if named["data"]:
        says.append(f"reads {', '.join(named['data'])} beside the spec")
    if named["start"]:
        says.append(f"starts from {named['start'][0]}")
    return f"{says[0]}{': it ' if says[1:] else ''}{', and '.join(says[1:])}."


def _page(name: str, text: str, recipe: tree.Train, size: str, reached: str) -> str:
    lines = [f"# {name}", "", f"{_headline(text)}: {size} parameters.", "", _training(name, recipe), ""]
    lines += [f"Reached: {reached}.", ""] if reached else []
    if name in SHEETS and (HERE / "gallery" / f"{name}.png").exists():
        lines += [f"What it draws, {SHEETS[name]} (`benchmarks/samples.py`):", ""]
        lines += [f'<img src="{name}.png" alt="sixty-four pictures">', ""]
    lines += [f'<img src="{name}.svg" alt="{name} as dlspec draws it">', "", "```dlspec", text.rstrip("\n"), "```", ""]
    return "\n".join(lines)


def _records(benchmark: str) -> list[dict[str, Any]]:
    """What was recorded, oldest first."""
    path = RESULTS / f"{benchmark}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _minutes(number: float) -> str:
    return f"{number:g} minute{'' if number == 1 else 's'}"


def _classics() -> dict[str, str]:
    found: dict[str, str] = {}
    for one in _records("classics"):
        minutes = f"{_minutes(one['minutes'])} on {one['machine']}"
        found[one["spec"]] = f"{one['accuracy']:.2%} in {minutes}; {one['published']:.1%} is {one['by']}"
    return found


def _baby_gpt() -> dict[str, str]:
    found: dict[str, str] = {}
    for record in _records("baby_gpt"):
        seeds = len(record["validation_loss"])
        loss = f"a validation loss of {record['mean']:.3f}, the mean of {seeds} seeds"
        found["chargpt"] = f"{loss}; 1.88 is what nanoGPT publishes"
    return found


def _probe() -> dict[str, str]:
    found: dict[str, str] = {}
    for one in _records("probe"):
        probe = "under a linear probe with 1,000 labels of Fashion-MNIST"
        found["simclr"] = f"{one['features']:.2%} {probe}, a quarter as wide; pixels give {one['pixels']:.2%}"
    return found


def _multi30k() -> dict[str, str]:
    found: dict[str, str] = {}
    for one in _records("multi30k"):
        size = "with 256 channels and three blocks on either side"
        minutes = f"{_minutes(one['minutes']['training'])} on {one['machine']}"
        score = f"a sacrebleu of {one['sacrebleu']:g} on the 2016 test set of Multi30k, German to English"
        found["transformer"] = f"{score}, {size}, in {minutes}"
    return found


def _norm_placement(folder: Path) -> list[str]:
    """One word apart, with both curves; nothing where it was not measured."""
    records = _records("norm_placement")
    if not records:
        return []
    last = records[-1]
    curves = [Curve(f"{name}-norm", tuple(map(tuple, last[name]))) for name in ("pre", "post")]
    _write(folder / "norm_placement.svg", drawn(curves, across="updates", up="validation loss"))
    (steps, pre), (_, post) = last["pre"][-1], last["post"][-1]
    return [
        "## One word apart",
        "",
        "Twelve layers of `chargpt.dlspec` at a rate of 3e-3 without warmup, once with",
        "`default residual(pre = LayerNorm)` and once with `default residual(post = LayerNorm)`:",
        "",
        '<img src="norm_placement.svg" alt="the validation losses of both">',
        "",
        f"After {steps} updates pre-norm is at {pre:.2f}. Post-norm stands at {post:.2f}: knowing how often each",
        f"character comes, and nothing else, gives {last['frequencies_alone']:.2f}. `benchmarks/norm_placement.py`",
        f"trains both ({last['machine']}, torch {last['versions']['torch']}, {last['date']}).",
        "",
    ]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    arguments = ArgumentParser(description="Write the gallery.")
    arguments.add_argument("folder", type=Path, nargs="?", default=HERE / "gallery", help="docs/gallery if left out")
    main(arguments.parse_args().folder)
