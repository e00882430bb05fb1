"""Every command and snippet of the README runs, and says what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import compile
from dlspec.compiler.training import registry as training_registry
from dlspec.compiler.training.base import Options as TrainingOptions
from dlspec.grammar import Source

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_the_spec_is_the_one_that_ships(repo: Path) -> None:
    assert blocks("dlspec") == [(repo / "specs" / "digits.dlspec").read_text(encoding="utf-8")]


def test_the_emitted_code_is_what_is_emitted(repo: Path) -> None:
    (spec,) = blocks("dlspec")
    files = compile(Source("digits.dlspec", spec)).files
    layer = (repo / "compiler" / "layers" / "silu.py").read_text(encoding="utf-8")
    model, rate, _, _, silu = blocks("python")
    assert model in files["digits.py"]
    assert rate in files["digits_recipe.py"]
    assert silu in layer


def test_the_commands_run_as_they_stand(tmp_path: Path) -> None:
    """In an empty directory, one after the other, with the `dlspec` of this environment."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -eu\n" + "\n".join(blocks("sh"))
    run = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    for path in ("code/digits.py", "runs/first/digits.py", "models/digits.onnx", "models/export_report.json"):
        assert (tmp_path / path).is_file(), path
    assert "8,970" in run.stdout
    _, _, *loads, _ = blocks("python")
    for load in loads:
        program = f"{load}\nimport torch\nassert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)"
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment | {"PYTHONPATH": "runs/first"}, check=True
        )


def test_the_make_targets_that_are_named_exist(repo: Path) -> None:
    makefile = (repo / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


def named(row: str) -> dict[str, list[str]]:
    """What a row of the table of this version names, with the options in its parentheses."""
    (line,) = re.findall(rf"^\| {row} \| (.*) \|$", README, re.M)
    return {
        word: options.split(", ") if options else [] for word, options in re.findall(r"`(\w+)(?:\((.*?)\))?`", line)
    }


def test_the_layers_and_functions_that_are_named_are_those_there_are() -> None:
    layers = named("layers")
    assert {*layers, *named("functions")} == set(registry.words())
    for word, options in layers.items():
        layer = registry.find(word)
        assert layer is not None and list(layer.options) == options, word


@pytest.mark.parametrize("row", ["data", "losses", "metrics", "optimizers", "schedules"])
def test_what_a_recipe_can_be_written_with_is_what_there_is(row: str) -> None:
    kinds = {word: training_registry.find(row, word, TrainingOptions) for word in training_registry.words(row)}
    assert set(named(row)) == {word for word, kind in kinds.items() if kind is not None and kind.runs}


def test_no_link_of_the_readme_is_dead(repo: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (repo / target).exists(), target
