"""`make demo`: from a spec to an answer in about three minutes on a CPU.

Trains specs/chargpt.dlspec on the English that every Python brings along (the help topics of `pydoc`), exports it with
proof, and lets ONNX Runtime write from the exported file alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from pydoc_data.topics import topics

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "specs" / "chargpt.dlspec"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    place = next(p for n in count(1) if not (p := Path("runs") / f"demo-{n}").exists())
    place.mkdir(parents=True)
    text = "\n".join(topics[name] for name in sorted(topics))
    corpus = place / "topics.txt"
    corpus.write_text(text, encoding="utf-8")
    run, models = place / "run", place / "models"

    say(f"1. Train a GPT on {len(text):,} characters of Python's help topics: about three minutes")
    files = json.dumps(str(corpus.resolve()))
    # The number of different characters differs from one Python to the next.
    settings = ["--set", f"train.data.files={files}", "--set", f"vocab={len(set(text))}"]
    dlspec("train", str(SPEC), *settings, "--run", str(run))

    say("2. Export it as ONNX and TorchScript, each proved equal to the trained model")
    dlspec("export", str(run), "-o", str(models))

    say("3. ONNX Runtime writes, from the exported file alone in an empty directory")
    with tempfile.TemporaryDirectory() as empty:
        shutil.copy(models / "chargpt.onnx", empty)
        dlspec("generate", "chargpt.onnx", "--prompt", "The ", "--tokens", "400", "--temperature", "0.8", cwd=empty)

    say("Where everything lies")
    for path, what in (
        (run / "spec.dlspec", "the spec as it was trained"),
        (run / "chargpt.py", "the model as PyTorch, yours to keep"),
        (run / "chargpt_recipe.py", "loss, parameter groups, optimizer and schedule"),
        (run / "metrics.jsonl", "what was measured"),
        (run / "checkpoints", "weights and optimizer state; `dlspec resume` goes on from them"),
        (models / "chargpt.onnx", "the proved ONNX file"),
        (models / "chargpt.pt", "the proved TorchScript file"),
        (models / "export_report.json", "the figures of the proof"),
    ):
        print(f"  {path!s:40} {what}")
    return 0


def say(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def dlspec(*arguments: str, cwd: str | None = None) -> None:
    """Run a command of dlspec as a user would; stop the demo with its exit code where it fails."""
    code = subprocess.run([sys.executable, "-m", "dlspec", *arguments], cwd=cwd, check=False).returncode
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    sys.exit(main())
