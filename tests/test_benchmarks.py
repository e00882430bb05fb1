"""The benchmarks run, measure what they say, and find out where two sides are not the same training."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

# What the CLI's own tests hold for check_cold.py, they hold there.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(repo: Path) -> Path:
    return repo / "benchmarks"


def run(script: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD, cwd=Path(sys.executable).anchor)


def run_changed(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """A program that can import the benchmarks and change them first."""
    lead = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    return subprocess.run([sys.executable, "-c", lead + program], capture_output=True, text=True, env=ONE_THREAD)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def docstring_of(path: Path) -> str:
    """A script's own words, read without running it."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


# --- they say what they do ------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(
    path.relative_to(ROOT)
    for path in [*(ROOT / "benchmarks").glob("*.py"), ROOT / "docs" / "demo.py"]
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


ASKED = """
import contextlib, io, json, os, runpy, sys

import torch  # once for all of them: it takes longer than the rest

for script in sys.argv[1:]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        out, err = io.StringIO(), io.StringIO()
        code, sys.argv, sys.path[0] = None, [script, "--help"], os.path.dirname(script)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as end:
                code = end.code
        with open(writing, "w") as pipe:
            json.dump([script, code, out.getvalue(), err.getvalue()], pipe)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        print(pipe.read(), flush=True)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """What each script answers to --help, with its code and what it says beside."""
    place = tmp_path_factory.mktemp("empty")
    command = [sys.executable, "-c", ASKED, *(str(ROOT / script) for script in SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(place.iterdir()) == []
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {script: (code, out, err) for script, code, out, err in told}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_every_script_says_what_it_does_and_does_nothing(
    script: Path, answers: dict[str, tuple[int, str, str]]
) -> None:
    code, out, err = answers[str(ROOT / script)]
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {script.name}")
    purpose = docstring_of(ROOT / script).partition("\n")[0]
    assert purpose in " ".join(out.split())


def test_there_are_scripts_to_ask() -> None:
    assert {"baby_gpt.py", "check_cold.py", "demo.py", "memory.py", "scale.py"} <= {script.name for script in SCRIPTS}


# --- they run -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_loop_is_measured_against_the_twin(folder: Path) -> None:
    done = run(folder / "loop.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert "ratio:" in done.stdout and "target 0.98" in done.stdout and "recorded" not in done.stdout


@pytest.mark.slow
def test_baby_gpt_trains_and_validates(folder: Path) -> None:
    done = run(folder / "baby_gpt.py", "--quick", "--seeds", "1", "--threads", "1")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("validation loss: "))
    assert 3.0 < float(line.split()[-1]) < math.log(65), "twenty steps learn something, and not much"


def test_baby_gpt_says_that_the_text_is_missing(folder: Path) -> None:
    done = run(folder / "baby_gpt.py", "--data", "nowhere.txt")
    assert done.returncode == 2
    assert "there is no nowhere.txt" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_multi30k_is_trained_translated_and_held_against_the_truth(folder: Path) -> None:
    done = run(folder / "multi30k.py", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "sacrebleu " in done.stdout and " of 4 lines" in done.stdout and "limit" not in done.stdout


def test_multi30k_says_that_a_file_is_missing(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "multi30k.py", "--data", tmp_path)
    assert done.returncode == 2
    assert "there is no train.de.gz in " in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_classics_are_trained_and_told_beside_what_is_published(folder: Path) -> None:
    done = run(folder / "classics.py", "--quick", "--threads", "1", "--only", "lenet", "digits_resnet", "reversal")
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": accuracy ") for line in done.stdout.splitlines() if ": accuracy " in line)
    assert list(told) == ["lenet", "digits_resnet", "reversal"]
    assert all(0 <= float(line.split(",")[0]) <= 1 and "at least" in line for line in told.values())
    assert float(told["digits_resnet"].split(",")[0]) > 0.5, "one pass over the digits teaches a lot"


@pytest.mark.slow
def test_norms_are_placed_before_and_behind(folder: Path) -> None:
    done = run(folder / "norm_placement.py", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("after "))
    pre, post = (float(part.split()[-1]) for part in line.split(","))
    assert pre != post and all(3 < loss < 5 for loss in (pre, post))


@pytest.mark.slow
def test_generators_draw_sheets(folder: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    done = run(folder / "samples.py", "--quick", "--threads", "1", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    for name, size in (("vae", (224, 224)), ("dcgan", (512, 512))):
        with image.open(tmp_path / f"{name}.png") as sheet:
            assert (sheet.size, sheet.mode) == (size, "L")
            assert len(set(sheet.tobytes())) > 10


@pytest.mark.slow
def test_a_linear_probe_is_put_to_features_and_to_pixels(folder: Path) -> None:
    pytest.importorskip("PIL.Image")
    done = run(folder / "probe.py", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("accuracy of a linear probe"))
    features, pixels = (float(part.split()[-1]) for part in line.split(","))
    assert 0 <= features <= 1 and 0 <= pixels <= 1


@pytest.mark.slow
@pytest.mark.parametrize("beside", [[], ["--torch"]], ids=["alone", "beside PyTorch's"])
def test_the_export_is_timed(folder: Path, beside: list[str]) -> None:
    if beside and sys.version_info >= (3, 14):
        pytest.skip("PyTorch's exporter by tracing needs TorchScript, which has no Python 3.14")
    done = run(folder / "export_onnx.py", "--quick", *beside)
    assert done.returncode == 0, done.stderr
    assert "PyTorch was not loaded" in done.stdout and ("PyTorch's exporter" in done.stdout) == bool(beside)


@pytest.mark.slow
def test_an_export_that_loads_torch_is_found_out(folder: Path) -> None:
    change = "import export_onnx as e; e.OURS = 'import torch\\n' + e.OURS; sys.exit(e.main(['--quick']))"
    done = run_changed(folder, change)
    assert done.returncode == 1 and "torch was loaded" in done.stderr, done.stderr


@pytest.mark.slow
def test_the_sections_for_a_gpu_work_on_the_cpu(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "gpu.py", "--device", "cpu", "--quick", "--out", tmp_path / "found.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    sections = found["sections"]
    assert len(sections) == 18
    parts = sections["GPT-2 124M, bf16, with and without"]
    assert len(parts["tokens_per_second"]) == 7 and set(parts["loss_differences"].values()) == {0.0}
    bench = sections.pop("GPT-2 124M, bf16, dlspec bench")
    assert {"attention", "norm"} <= {one["kind"] for one in bench["kernels"]}
    assert [one["kernels"] for one in bench["steps"]] == ["triton", "torch"]
    bound = sections.pop("norms and loss, bf16")
    assert bound["copy_gigabytes_per_second"] > 0 and bound["cross-entropy"]["PyTorch"]["backward"] > 0
    wide = sections.pop("wide norms with other tiles, bf16")
    assert all(wide[norm]["tuned"]["backward"] > 0 and len(wide[norm]) == 5 for norm in ("LayerNorm", "RMSNorm"))
    told = sections.pop("GPT-2 124M, bf16, kernel by kernel")
    for side in (told["ours"], told["by_hand"]):
        assert side["kernels"] > 0 and 0 < max(side["longest"].values()) <= side["busy"]
    compiled = sections.pop("GPT-2 124M, bf16, the twin compiled")
    assert compiled["by_hand_tokens_per_second"]["median"] > 0
    assert [name for name, one in sections.items() if one["equal"] is not True] == []
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.slow
def test_a_section_that_fails_is_told_and_the_others_run(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = run_changed(
        folder,
        f"""
import gpu
def broken(stage):
    (stage.folder / "missing").read_text()
gpu.SECTIONS = {{
    "broken": broken,
    "unequal": lambda stage: {{"equal": False}},
    "late": lambda stage: setattr(gpu.Report, "deadline", 0) or {{}},
}}
sys.exit(gpu.main(["--device", "cpu", "--quick", "--out", {str(out)!r}]))
""",
    )
    assert done.returncode == 1, done.stderr
    sections = json.loads(out.read_text())["sections"]
    assert list(sections) == ["broken", "unequal", "late"]
    assert (
        sections["broken"]["failed"].startswith("FileNotFoundError") and ".../missing" in sections["broken"]["failed"]
    )
    assert "not good" in done.stdout


@pytest.mark.slow
def test_no_section_begins_when_the_time_is_up(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = run(folder / "gpu.py", "--device", "cpu", "--quick", "--minutes", "0", "--out", out)
    assert done.returncode == 0, done.stderr
    assert {tuple(one) for one in json.loads(out.read_text())["sections"].values()} == {("skipped",)}


@pytest.mark.slow
def test_some_sections_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = run(folder / "gpu.py", "--device", "cpu", "--quick", "--only", "norms and", "--out", out)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(out.read_text())["sections"]) == ["norms and loss, bf16"]
    done = run(folder / "gpu.py", "--device", "cpu", "--quick", "--only", "nroms", "--out", out)
    assert done.returncode == 2 and "norms and loss, bf16" in done.stderr


def test_without_a_gpu_the_script_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    hidden = {**ONE_THREAD, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, folder / "gpu.py", "--out", tmp_path / "found.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=hidden)
    assert done.returncode == 2 and "--device cpu --quick" in done.stderr


# An allocator that gives out a thousand bytes whenever it is asked, on a machine without a GPU.
FAKE_GPU = """
import memory, memory_cuda, torch
from itertools import count
given = count(0, 1000)
memory_cuda.DEVICE = torch.device("cpu")
for name in ("init", "empty_cache", "reset_peak_memory_stats"):
    setattr(torch.cuda, name, lambda: None)
torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda: "NVIDIA Made Up"
torch.cuda.memory_reserved = lambda: 0
torch.cuda.memory_stats_as_nested_dict = lambda: {"allocated_bytes": {"all": dict(current=next(given), peak=1 << 20)}}
torch._C._cuda_clearCublasWorkspaces = lambda: None
"""


@pytest.mark.slow
def test_the_memory_of_a_gpu_is_taken_apart(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = run_changed(
        folder,
        FAKE_GPU
        + f"""
from dataclasses import replace
gpt, resnet, transformer = memory.ON_A_GPU[3:]
broken = replace(gpt, name="broken", quick=("depth=none",), batches=(4,))
memory.ON_A_GPU = (broken, replace(transformer, batches=(2, 3)))
sys.exit(memory.main(["--device", "cuda", "--quick", "--out", {str(out)!r}]))
""",
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(out.read_text())
    assert found["machine"] == "one Made Up" and found["met"] is False
    broken, first, second = found["systems"]
    assert broken["failed"] and broken["at"] and broken["system"] == "broken"
    assert first["measured"] > 0
    assert list(first["moments"]["peaks"]) == ["before", "forward", "loss", "backward", "update"]
    kept = {(one["operation"], one["what"]) for one in first["saved"]}
    assert {("NativeLayerNormBackward0", "input"), ("LogSoftmaxBackward0", "result")} <= kept
    assert "saved" not in second
    names = {one["name"] for one in second["operations"]["backward"]["highest"]}
    assert any("backward" in name for name in names), names


@pytest.mark.slow
def test_without_a_gpu_its_memory_is_not_measured(folder: Path, tmp_path: Path) -> None:
    hidden = {**ONE_THREAD, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, folder / "memory.py", "--device", "cuda", "--out", tmp_path / "found.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=hidden)
    assert done.returncode == 2 and "--device cpu" in done.stderr


# --- what makes a figure void ---------------------------------------------------------------------------------------

FAULTS = {
    "rate": "loop.CHAR_RECIPE = replace(loop.CHAR_RECIPE, peak=1.001e-3)",
    "betas": "loop.CHAR_RECIPE = replace(loop.CHAR_RECIPE, betas=(0.9, 0.995))",
    "heads": "loop.CHAR_SHAPE = replace(loop.CHAR_SHAPE, heads=8)",
    "data": "made = loop.batches_of; loop.batches_of = lambda *given: made(*given)[::-1]",
    # Adam hardly sees how long a gradient is, and decay grows with the rate: these show after 7 and 17 updates.
    "clip": "loop.CHAR_RECIPE = replace(loop.CHAR_RECIPE, clip=0.1)",
    "decay": "loop.CHAR_RECIPE = replace(loop.CHAR_RECIPE, decay=0.0)",
}


def codes_of(folder: Path, faults: dict[str, str]) -> dict[str, int]:
    """The exit code of loop.py for one fault after the other, in one process, each in a twin of its own."""
    program = f"""
from dataclasses import replace
import json, loop
whole, codes = dict(vars(loop)), {{}}
for name, fault in {faults!r}.items():
    vars(loop).update(whole)
    exec(fault)
    codes[name] = loop.main(["--quick"])
print(json.dumps(codes))
"""
    done = run_changed(folder, program)
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert done.stderr.count("void") == sum(codes.values())
    return codes


@pytest.mark.slow
def test_the_loop_finds_out_another_training(folder: Path) -> None:
    assert codes_of(folder, FAULTS) == dict.fromkeys(FAULTS, 1)


@pytest.fixture(scope="module")
def agree(folder: Path) -> list[tuple[str, bool]]:
    """Names of courses, and whether they agree with a twin that drifts by 1e-6 a step from the exact course."""
    program = """
import json, math
from pairs import agreement
exact = [4.0 - 0.01 * step for step in range(100)]
theirs = [loss + 1e-6 * (step + 1) for step, loss in enumerate(exact)]
wild = [loss + 0.1 for loss in exact]
courses = {
    "the same": (theirs, theirs),
    "thrice the drift": ([loss - 3e-6 * step for step, loss in enumerate(exact)], theirs),
    "five times the drift": ([loss - 5e-6 * (step + 1) for step, loss in enumerate(exact)], theirs),
    "one step off": ([*theirs[:50], theirs[50] + 1e-3, *theirs[51:]], theirs),
    "no number": ([*theirs[:50], math.nan, *theirs[51:]], theirs),
    "no number in the twin": (theirs, [*theirs[:50], math.nan, *theirs[51:]]),
    "a twin that is wild itself": (exact, wild),
}
print(json.dumps([(name, agreement(*sides, exact).good) for name, sides in courses.items()]))
"""
    done = run_changed(folder, program)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rounding_agrees_and_nothing_else_does(agree: Sequence[tuple[str, bool]]) -> None:
    assert [name for name, good in agree if good] == ["the same", "thrice the drift"]


# --- what is written ------------------------------------------------------------------------------------------------


def test_results_are_appended_with_their_date(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = loaded(folder / "record.py")
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    record.record("speed", {"ratio": record.spread([1.0, 3.0, 2.0])})
    path = record.record("speed", {"ratio": record.spread([4.0])})
    first, second = json.loads(path.read_text())
    assert first["ratio"] == {"median": 2.0, "min": 1.0, "max": 3.0} and second["ratio"]["max"] == 4.0
    assert len(first["date"]) == len("2025-01-31")


def test_the_share_of_other_processes_is_a_share(folder: Path) -> None:
    record = loaded(folder / "record.py")
    with record.others_share() as share:
        sum(range(3_000_000))
    assert all(0 <= value <= 1 for value in share.values())


def test_results_tell_of_the_kind_of_machine_only(folder: Path) -> None:
    for path in (folder / "results").glob("*.json"):
        text = path.read_text()
        assert socket.gethostname() not in text and "/" not in text.replace("/s", ""), path.name
        for found in json.loads(text):
            assert {"date", "machine", "versions"} <= found.keys(), path.name
