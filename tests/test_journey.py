"""A new user's way: the wheel in an empty virtual environment, from a new spec to a text, outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STEPS = [
    "dlspec --version",
    "dlspec new story --from chargpt",
    "dlspec check story.dlspec",
    "dlspec emit story.dlspec -o code",
    "dlspec train story.dlspec --run run --set train.steps=20 --set 'train.schedule=warmup(5) -> cosine'"
    " --set train.data.files='\"corpus.txt\"' --set vocab=VOCAB",
    "dlspec export run -o models",
    "mkdir alone && cp models/*.onnx alone/ && cd alone && dlspec generate *.onnx --prompt 'The ' --tokens 40",
]


def test_the_wheel_alone_goes_from_a_new_spec_to_a_text(repo: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    litter = {".venv", ".git", "runs", "build", "dist"}
    shutil.copytree(repo, source, ignore=lambda at, names: litter if at == str(repo) else {"__pycache__"})
    python = _new_environment(tmp_path / "env")
    constraints = ["-c", str(repo / "constraints.txt")]
    torch = next(line for line in (repo / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    _run([python, "-m", "pip", "install", "-q", torch], tmp_path)
    _run([python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)], tmp_path)
    (wheel,) = tmp_path.glob("dlspec-*.whl")
    _run([python, "-m", "pip", "install", "-q", *constraints, f"{wheel}[cpu]"], tmp_path)
    shutil.rmtree(source)

    work = tmp_path / "work"
    work.mkdir()
    text = "The quick brown fox jumps over the lazy dog. " * 300
    (work / "corpus.txt").write_text(text, encoding="utf-8")
    script = "set -eu\n" + "\n".join(STEPS).replace("VOCAB", str(len(set(text))))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PATH"] = f"{Path(python).parent}{os.pathsep}{environment['PATH']}"
    run = subprocess.run(["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert (work / "code" / "story.py").is_file()
    assert (work / "models" / "export_report.json").is_file()
    assert "The " in run.stdout.splitlines()[-1]


def _new_environment(path: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    return str(path / ("Scripts" if os.name == "nt" else "bin") / "python")


def _run(command: list[str], cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
