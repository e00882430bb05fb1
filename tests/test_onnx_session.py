"""A file alone: opened without torch, refused where it is not ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from proof_graphs import (
    DIGITS_META,
    TINY_META,
    digits_graph,
    saved,
    tiny,
    tiny_graph,
    trained_digits,
)
from torch import nn

from dlspec.runtime.errors import Refused
from dlspec.runtime.metadata import Metadata, write_metadata
from dlspec.runtime.onnx_session import open_onnx
from dlspec.runtime.text import ByteTokenizer
from dlspec.runtime.torch_session import TorchSession


@pytest.fixture
def digits() -> nn.Module:
    return trained_digits()


# --- the file alone


def test_a_file_alone_is_enough_and_needs_no_torch(digits: nn.Module, tmp_path: Path) -> None:
    """Copied into an empty folder and opened by another process, it predicts and writes as the trained model does."""
    image = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(saved(digits_graph(digits), tmp_path), alone / "m.onnx")
    shutil.copy(saved(tiny_graph(tiny()), tmp_path), alone / "t.onnx")
    np.save(alone / "image.npy", image)
    program = """
import json, sys
from pathlib import Path
from dlspec.runtime.generate import generate
from dlspec.runtime.onnx_session import open_onnx
from dlspec.runtime.predict import predict, read_examples
digits, tiny = open_onnx(Path("m.onnx")), open_onnx(Path("t.onnx"))
said = [*predict(digits, read_examples(Path("image.npy"), digits.metadata))]
text = "".join(generate(tiny.next_logits, tiny.metadata.tokenizer, "ab", 60, 0.8, 5, 7, tiny.context))
print(json.dumps([said, text, "torch" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, text, torch_was_loaded = json.loads(done.stdout)
    assert not torch_was_loaded and done.stderr == ""

    from dlspec.runtime.generate import generate
    from dlspec.runtime.predict import predict

    here = [*predict(TorchSession(DIGITS_META, digits), {"image": image})]
    for theirs, ours in zip(said, here, strict=True):
        assert theirs["logits"]["class"] == ours["logits"]["class"]
        assert theirs["logits"]["probability"] == pytest.approx(ours["logits"]["probability"], rel=1e-5)
    session = TorchSession(TINY_META, tiny())
    assert TINY_META.tokenizer is not None
    assert text == "".join(generate(session.next_logits, TINY_META.tokenizer, "ab", 60, 0.8, 5, 7, session.context))
    assert len(text) == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dlspec.format": "2"}, r"m.onnx has format 2, of dlspec 0.1.0; this one reads 1"),
        ({"dlspec.format": None}, r"m.onnx was not exported by dlspec"),
        ({"dlspec.inputs": "["}, r"what m.onnx says about itself is damaged"),
        ({"dlspec.inputs": "[{}]"}, r"what m.onnx says about itself is damaged"),
        ({"dlspec.tokenizer": "{}"}, "the stored tokenizer is damaged"),
        ({"dlspec.outputs": '[{"name": "y", "dtype": "float", "dims": [], "limits": {}}]'}, "was changed after"),
    ],
)
def test_files_that_are_not_ours(
    digits: nn.Module, tmp_path: Path, change: dict[str, str | None], message: str
) -> None:
    exported = digits_graph(digits)
    entries = {entry.key: entry.value for entry in exported.metadata_props} | change
    del exported.metadata_props[:]
    onnx.helper.set_model_props(exported, {key: value for key, value in entries.items() if value is not None})
    with pytest.raises((Refused, Exception), match=message) as fault:
        open_onnx(saved(exported, tmp_path, "m.onnx"))
    assert type(fault.value).__name__ in ("Refused", "TokenizerError")


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no file"):
        open_onnx(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_text("no")
    with pytest.raises(Refused, match=r"m.onnx is no model that ONNX Runtime"):
        open_onnx(tmp_path / "m.onnx")


def test_without_onnx_runtime_both_extras_are_named() -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path; from dlspec.runtime.errors import Refused\n"
        "from dlspec.runtime.onnx_session import open_onnx\n"
        "try: open_onnx(Path(sys.argv[0] or sys.executable))\n"
        "except Refused as fault: print(fault.message, '|', fault.help)"
    )
    command = [sys.executable, "-c", program.replace("sys.argv[0] or sys.executable", "sys.executable")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "running a model.onnx needs ONNX Runtime, which is not installed | "
        "pip install dlspec[cpu], or dlspec[gpu] for NVIDIA GPUs\n"
    )


def test_bytes_travel_too() -> None:
    metadata = Metadata("1", "2", TINY_META.inputs, TINY_META.outputs, {"T": 3}, ByteTokenizer())
    from dlspec.runtime.metadata import read_metadata

    again = read_metadata(write_metadata(metadata), "m.onnx")
    assert again.limits == {"T": 3} and again.inputs == metadata.inputs and again.outputs == metadata.outputs
    assert again.tokenizer is not None and again.tokenizer.vocabulary == 256
