"""The emitter reaches the golden files, which were written by hand, and its bytes do not depend on where it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch
GOLDEN = Path(__file__).parent / "golden"


def emitted(repo: Path, name: str) -> dict[str, str]:
    # gpt.dlspec asks for `fsdp`, which this version notes and leaves out of what it emits.
    overrides = ["train.parallel=none"] if name == "gpt" else []
    text = (repo / "specs" / f"{name}.dlspec").read_text(encoding="utf-8")
    artefact = compile(Source(f"{name}.dlspec", text), overrides)
    return artefact.files | {f"{name}.json": json.dumps(artefact.settings)}


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_the_emitter_reaches_the_golden_files(repo: Path, name: str) -> None:
    files = emitted(repo, name)
    for suffix in (".py", "_recipe.py"):
        assert files[f"{name}{suffix}"] == (GOLDEN / f"{name}{suffix}").read_text(encoding="utf-8")
    assert json.loads(files[f"{name}.json"]) == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["dcgan", "efficientnet", "simclr", "transfer"])
def test_the_emitter_reaches_the_golden_recipes(repo: Path, name: str) -> None:
    """Phases; an average of the weights; an optimizer that PyTorch has not; what is frozen, and rates of parts."""
    files = emitted(repo, name)
    assert files[f"{name}_recipe.py"] == (GOLDEN / f"{name}_recipe.py").read_text(encoding="utf-8")


def test_the_bytes_are_the_same_under_other_hash_seeds_locales_and_directories(repo: Path, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from dlspec.compiler.pipeline import compile\n"
        "from dlspec.grammar import Source\n"
        "text = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8')\n"
        "sys.stdout.reconfigure(encoding='utf-8', newline='\\n')\n"
        "print(compile(Source('wide.dlspec', text)).model_code, end='')\n"
    )
    outputs = set()
    for seed, locale, directory in (
        ("0", "C", repo),
        ("1", "C.UTF-8", tmp_path),
        ("77", "tr_TR.UTF-8", tmp_path.parent),
    ):
        env = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale}
        command = [sys.executable, "-c", program, str(repo / "tests" / "specs" / "wide.dlspec")]
        outputs.add(subprocess.run(command, cwd=directory, env=env, capture_output=True, check=True).stdout)
    assert len(outputs) == 1
    assert b"class Net(nn.Module):" in outputs.pop()


def test_one_word_moves_every_norm(repo: Path) -> None:
    """`pre` to `post` in `default residual` changes the forward of the block and nothing else of it."""
    text = (repo / "specs" / "gpt.dlspec").read_text(encoding="utf-8")
    pre = compile(Source("gpt.dlspec", text), ["train.parallel=none"]).model_code
    moved = text.replace("default residual(pre = LayerNorm", "default residual(post = LayerNorm")
    post = compile(Source("gpt.dlspec", moved), ["train.parallel=none"]).model_code
    assert "x = x + self.attn_drop(self.attn(self.attn_norm(x)))" in pre
    assert "return x + self.mlp_drop(self.mlp(self.mlp_norm(x)))" in pre
    assert "x = self.attn_norm(x + self.attn_drop(self.attn(x)))" in post
    assert "return self.mlp_norm(x + self.mlp_drop(self.mlp(x)))" in post
    changed = {*pre.splitlines()} ^ {*post.splitlines()}
    assert all("_norm(" in line for line in changed), changed
