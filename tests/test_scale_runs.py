"""Models that nest 200 deep are trained, measured, gone on with and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_cases import Write, write

from dlspec.cli.main import main

__all__ = ["write"]  # a fixture
pytestmark = pytest.mark.slow
DEEP = 200
BLOCKS = "".join(f"block B{i} {{ B{i + 1} }}\n" for i in range(DEEP)) + f"block B{DEEP} {{ Linear(10) }}\n"
BODIES = {
    "groups": f"{''.join(f'g{i}: {{ ' for i in range(DEEP))}Linear(10){' }' * DEEP}",
    "repeats": f"{'repeat(1) { ' * DEEP}Linear(10){' }' * DEEP}",
    "residuals": f"{'repeat(1) { residual { ' * (DEEP // 2)}Linear(64){' } }' * (DEEP // 2)} -> Linear(10)",
    "checkpoints": f"{'checkpoint { ' * DEEP}Linear(10){' }' * DEEP}",
    "blocks": "B0",
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_run_of_what_nests_deeply(kind: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    file = write(f"""dlspec 1
{BLOCKS if kind == "blocks" else ""}
model Deep: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {{
  flatten -> {BODIES[kind]}
}}
train Deep {{
  data = digits
  loss = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  steps = 2
  batch = 64
}}
""")
    for words in (
        ["train", file, "--run", "run", "--device", "cpu"],
        ["resume", "run"],
        ["verify-resume", file, "--steps", "2", "--device", "cpu"],
        ["evaluate", "run"],
        ["bench", file, "--device", "cpu"],
        ["diff", "run", file],
        ["export", "run", "-o", "models"],
    ):
        assert main(words) == 0, f"{words[0]}: {capsys.readouterr().err[-400:]}"
    assert {path.suffix for path in Path("models").iterdir()} >= {".onnx", ".pt"}
