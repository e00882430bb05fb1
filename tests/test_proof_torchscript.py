"""TorchScript: the golden models as archives that run without dlspec and tell nothing of this machine."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlspec.runtime.errors import ProofFailed, Refused
from dlspec.runtime.export import open_torchscript, perturbed, prove, write_torchscript
from dlspec.runtime.export.leaks import leaked_path, machine_paths
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.program import load_text
from dlspec.runtime.settings import Port

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="PyTorch does not support TorchScript on Python 3.14 and later"
)

GPT = Metadata(
    "0.1.0", "00", (Port("tokens", "int", ("B", "T")),), (Port("logits", "float", ("B", "T", 40)),), {"T": 32}
)
DIGITS = Metadata("0.1.0", "00", (Port("image", "float", ("B", 1, 8, 8)),), (Port("logits", "float", ("B", 10)),))
SMALL = (("50_257", "40"), ("1024", "32"), ("768", "32"), ("heads: int = 12", "heads: int = 4"), ("= 12", "= 2"))


def code_of(repo: Path, name: str) -> str:
    code = (repo / f"tests/golden/{name}.py").read_text()
    if name == "gpt":
        for old, new in SMALL:
            assert old in code
            code = code.replace(old, new)
    return code


def model_of(repo: Path, name: str) -> nn.Module:
    """Of the golden text, with weights that are far from initial."""
    model: Any = getattr(load_text(name, code_of(repo, name)), {"gpt": "GPT", "digits": "MLP"}[name])()
    model.init_weights(torch.Generator().manual_seed(0))
    return perturbed(model, 1)


@pytest.fixture(params=["digits", "gpt"])
def exported(request: pytest.FixtureRequest, repo: Path, tmp_path: Path) -> tuple[nn.Module, Path, Metadata]:
    name: str = request.param
    model = model_of(repo, name).train()  # exported in evaluation mode all the same
    path = tmp_path / f"{name}.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_torchscript(path, name, code_of(repo, name), type(model).__name__, model)
    return model, path, GPT if name == "gpt" else DIGITS


def test_the_archive_is_proved(exported: tuple[nn.Module, Path, Metadata]) -> None:
    model, path, metadata = exported
    assert model.training
    proof = prove(open_torchscript(path, metadata).run, model, metadata, step=5)
    proof.require(path.name)
    (stage,) = proof.stages
    assert all(one.difference == one.torch_difference for one in stage.comparisons)  # bit for bit what torch gives
    if metadata is GPT:
        assert stage.greedy is not None and stage.greedy.decisive == stage.greedy.equal > 50


def test_it_keeps_the_keys_and_runs_without_dlspec(exported: tuple[nn.Module, Path, Metadata], tmp_path: Path) -> None:
    model, path, metadata = exported
    program = """
import sys, warnings
sys.modules["dlspec"] = None
warnings.simplefilter("ignore")
import torch
module = torch.jit.load(sys.argv[1])
assert not module.training
print(*module.state_dict())
with torch.no_grad():
    torch.save([module(torch.load(sys.argv[2])), not any(p.requires_grad for p in module.parameters())], sys.argv[3])
"""
    draw = torch.Generator().manual_seed(2)
    if metadata is GPT:
        inputs = torch.randint(40, (3, 17), generator=draw)
    else:
        inputs = torch.randn(3, 1, 8, 8, generator=draw)
    torch.save(inputs, tmp_path / "in")
    # -P: the folder that we stand in is not on the path either
    command = [sys.executable, "-P", "-c", program, str(path), str(tmp_path / "in"), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(model.state_dict())
    output, no_gradients = torch.load(tmp_path / "out")
    with torch.no_grad():
        assert torch.equal(output, copy.deepcopy(model).eval()(inputs))
    assert no_gradients


def test_it_tells_nothing_of_this_machine(exported: tuple[nn.Module, Path, Metadata], tmp_path: Path) -> None:
    _, path, _ = exported
    with zipfile.ZipFile(path) as archive:
        texts = {entry: archive.read(entry) for entry in archive.namelist() if "/data/" not in entry}
        assert archive.testzip() is None
    paths = [*machine_paths(), str(tmp_path).encode(), b"site-packages", str(Path(__file__).parents[1]).encode()]
    assert len(paths) > 3
    for entry, content in texts.items():
        assert leaked_path(content, paths) is None, entry
    assert [file.name for file in path.parent.iterdir() if file.suffix != ".pt"] == []


def test_a_leak_is_seen(repo: Path, tmp_path: Path) -> None:
    code = code_of(repo, "digits").replace(
        "        x = image.flatten(1)",
        f'        assert image.shape[0] > 0, "{Path.home()}/secret"\n        x = image.flatten(1)',
    )
    with pytest.raises(ProofFailed, match="names a folder of this machine"):
        write_torchscript(tmp_path / "a.pt", "digits", code, "MLP", model_of(repo, "digits"))
    home = "/".join(("", "home", "me", ""))  # in pieces: no file here may name one
    assert leaked_path(f"see {home}x".encode(), []) == home
    assert leaked_path(b"https://example.org/a", machine_paths()) is None


def test_planted_faults_are_found(repo: Path, tmp_path: Path) -> None:
    model = model_of(repo, "gpt")
    for fault, (old, new) in {
        "no mask": ("is_causal=True", "is_causal=False"),
        "other gelu": (', approximate="tanh"', ""),
        "position off by one": ("[: tokens.shape[1]]", "[1 : tokens.shape[1] + 1]"),
        "fixed length": ("return self.head(x)", "return self.head(x.reshape(-1, 32, 32))"),
    }.items():
        code = code_of(repo, "gpt")
        assert old in code
        write_torchscript(tmp_path / "a.pt", "gpt", code.replace(old, new), "GPT", model)
        proof = prove(open_torchscript(tmp_path / "a.pt", GPT).run, model, GPT, step=5)
        with pytest.raises(ProofFailed, match="does not do what the trained model does"):
            proof.require(fault)


def test_python_3_14_is_refused(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(Refused, match="does not support TorchScript"):
        write_torchscript(tmp_path / "a.pt", "digits", code_of(repo, "digits"), "MLP", nn.Linear(1, 1))
    assert list(tmp_path.iterdir()) == []


def test_the_global_random_state_is_untouched(repo: Path, tmp_path: Path) -> None:
    model = model_of(repo, "digits")
    before = torch.get_rng_state()
    write_torchscript(tmp_path / "a.pt", "digits", code_of(repo, "digits"), "MLP", model)
    prove(open_torchscript(tmp_path / "a.pt", DIGITS).run, model, DIGITS, step=5)
    assert torch.equal(torch.get_rng_state(), before)
