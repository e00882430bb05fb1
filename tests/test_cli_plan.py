"""`dlspec show`, `plan`, `emit`, `new` and `runs`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from cli_cases import GOOD, LATER, LEARNS, Write, json_of, write

from dlspec.cli.main import main

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture


def test_show_is_a_table(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", write(LEARNS)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^linear +Linear +\[B, 10\] +650 +1\.28 k$", out, re.M) and "650 parameters" in out


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("ast", "Model  @3:1"),
        ("resolved", "classes = 10"),
        ("ir", "%2 = linear: Linear(classes)(%1)"),
        ("passes", "%2 = linear: Linear(classes)(%1)"),
        ("module", "class MLP(nn.Module):"),
    ],
)
def test_every_stage_can_be_seen(write: Write, stage: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LEARNS)
    assert main(["show", file, "--stage", stage]) == 0
    assert says in capsys.readouterr().out
    assert main(["show", file, "--stage", stage, "--json"]) == 0
    document = json_of(capsys)
    assert document["stage"] == stage and says in document["text"]


def test_the_kernels_are_those_that_are_emitted(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(GOOD.replace("Linear(4)", "RMSNorm -> Linear(4)"))
    assert main(["emit", file, "-o", str(tmp_path), "--kernels", "triton"]) == 0
    (kernels,) = tmp_path.glob("*_kernels.py")
    capsys.readouterr()
    assert main(["show", file, "--stage", "kernels"]) == 0
    assert capsys.readouterr().out == kernels.read_text(encoding="utf-8")
    assert main(["show", write(GOOD), "--stage", "kernels"]) == 0
    assert "has no part with kernels of its own" in capsys.readouterr().out


def test_a_model_that_is_not_emitted_yet_has_no_kernels_to_show(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(LATER)
    assert main(["show", file, "--stage", "kernels"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "not-in-this-version" in said.err
    assert "note: the kernels cannot be shown: the spec asks for what is not in this version" in said.err
    assert main(["show", file, "--stage", "kernels", "--json"]) == 0
    assert json_of(capsys)["left_out"] == "the kernels cannot be shown"


def test_a_pass_is_seen_between_ir_and_passes(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(GOOD.replace("Linear(4)", "Dropout(0) -> Linear(4)"))
    assert main(["show", file, "--stage", "ir"]) == 0
    assert "Dropout(0)" in capsys.readouterr().out
    assert main(["show", file, "--stage", "passes"]) == 0
    assert "Dropout" not in capsys.readouterr().out


def test_the_json_of_plan(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(repo / "specs" / "gpt.dlspec")
    assert main(["plan", spec, "--json", "--memory", "80GB", "--device", "cuda"]) == 0
    document = json_of(capsys)
    assert document["parameters"] == document["trainable_parameters"] == 124_439_808
    assert document["memory"].keys() == {"weights", "gradients", "optimizer", "activations", "peak"}
    parts = {name: size for name, size in document["memory"].items() if name != "peak"}
    assert max(parts.values()) < document["memory"]["peak"] <= sum(parts.values())
    assert sum(layer["parameters"] for layer in document["layers"]) == 124_439_808
    assert {"name", "type", "shape", "parameters"} <= document["layers"][0].keys()
    assert document["batch"] == 480 and 0 < document["largest_batch"] < 480


def test_plan_says_what_to_do_where_the_batch_does_not_fit(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(repo / "specs" / "gpt.dlspec")
    on = ["--device", "cuda"]
    assert main(["plan", spec, *on, "--memory", "24GB"]) == 0
    found = re.search(r"up to (\d+) examples at once .* `accumulate = (\d+)`", capsys.readouterr().out)
    assert found is not None
    fits, parts = map(int, found.groups())
    assert 480 % parts == 0 and 480 // parts <= fits
    assert main(["plan", spec, *on, "--memory", "24GB", "--set", f"train.accumulate={parts}", "--json"]) == 0
    assert json_of(capsys)["memory"]["peak"] <= 24e9
    assert main(["plan", spec, *on, "--memory", "1GB"]) == 0
    assert "not a single example fits into 1.00 GB" in capsys.readouterr().out


PICTURES = """dlspec 1
model Net: (image: [B, 3, H, W]) -> (logits: [B, 10]) {
  Conv2d(8, kernel = 3, pad = 1) -> relu -> mean(over = [H, W]) -> Linear(10)
}
train Net {
  data      = images("pictures", size = 32, classes = 10)
  loss      = cross_entropy(logits, data.label)
  optimizer = SGD(lr = 0.1)
  epochs    = 1
  batch     = 4
}
"""


def test_plan_counts_with_the_sizes_of_the_data(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(PICTURES), "--json"]) == 0
    document = json_of(capsys)
    assert document["sizes"] == {"H": 32, "W": 32}
    assert document["flops_per_sample"] == 2 * (32 * 32 * 3 * 9 * 8 + 8 * 10)
    assert main(["plan", write(PICTURES.split("train")[0])]) == 0
    assert "H, W: nothing bounds them, and each was counted as 1 (write `H <= 1024`)" in capsys.readouterr().err


def test_show_says_at_which_sizes_it_counted(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    flops = {}
    for sizes, text in ("H = 32, W = 32", PICTURES), ("H = 1, W = 1", PICTURES.split("train")[0]):
        assert main(["show", write(text)]) == 0
        captured = capsys.readouterr()
        assert captured.out.endswith(f" parameters, FLOPs at {sizes}\n")
        assert ("each was counted as 1 (write `H <= 1024`)" in captured.err) is (sizes == "H = 1, W = 1")
        flops[sizes] = re.findall(r"Conv2d.* (\S+ k?)$", captured.out, re.M)
    assert len(set(map(str, flops.values()))) == 2
    assert main(["show", write(LEARNS)]) == 0
    assert capsys.readouterr().out.endswith(" parameters\n")


def test_plan_without_a_recipe_says_so(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    for text, says in (LEARNS, False), (GOOD, True):
        assert main(["plan", write(text), "--device", "cpu"]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("training "))
        assert ("; no recipe, so without an optimizer" in line) is says


def test_plan_says_what_is_frozen(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    frozen = LEARNS.replace("flatten -> ", "flatten -> fc: Linear(8) -> ").replace(
        "  loss ", "  freeze = [fc]\n  loss "
    )
    assert main(["plan", write(frozen), "--json"]) == 0
    document = json_of(capsys)
    assert document["parameters"] - document["trainable_parameters"] == 64 * 8 + 8
    assert document["memory"]["gradients"] == 4 * document["trainable_parameters"]
    assert main(["plan", write(frozen)]) == 0
    assert "520 of them frozen" in capsys.readouterr().out


def test_plan_says_which_copies_of_the_weights_it_counts(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = str(repo / "specs" / "digits.dlspec")
    assert main(["plan", digits]) == 0
    assert "weights        35.9 kB\n" in capsys.readouterr().out
    assert main(["plan", digits, "--set", "train.ema=0.99"]) == 0
    assert "weights        71.8 kB, 35.9 kB of it the moving average (`ema`)\n" in capsys.readouterr().out
    assert main(["plan", str(repo / "specs" / "moco.dlspec")]) == 0
    assert ", with the momentum copies `" in capsys.readouterr().out


def test_plan_counts_with_what_is_set(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LEARNS)
    assert main(["plan", file, "--json", "--batch", "8"]) == 0
    assert json_of(capsys)["batch"] == 8
    assert main(["plan", write(GOOD), "--json"]) == 0
    assert json_of(capsys)["parameters"] == 36


def test_emit_writes_the_model_and_its_recipe(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", write(LEARNS), "-o", "out/code"]) == 0
    assert sorted(os.listdir(tmp_path / "out/code")) == ["net.py", "net_recipe.py"]
    assert capsys.readouterr().out.split() == ["out/code/net.py", "out/code/net_recipe.py"]
    for name in ("net.py", "net_recipe.py"):
        compile((tmp_path / "out/code" / name).read_text(), name, "exec")
    assert main(["emit", write(GOOD), "-o", "alone", "--json"]) == 0
    assert json_of(capsys)["files"] == ["alone/net.py"]


def test_what_cannot_be_emitted_yet_is_told_and_nothing_written(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(LATER)
    words = ["emit", file, "-o", "out"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "not-in-this-version" in captured.err
    assert main([*words, "--strict"]) == 1
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert "left_out" in json_of(capsys)
    assert not (tmp_path / "out").exists()
    for words in (["plan", file], ["show", file]):  # what is known of it is told all the same
        assert main(words) == 0
        captured = capsys.readouterr()
        assert "linear" in captured.out and "not-in-this-version" in captured.err


def test_emit_does_not_write_over_a_folder_or_through_a_file(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(GOOD)
    (tmp_path / "out" / "net.py").mkdir(parents=True)
    assert main(["emit", file, "-o", "out"]) == 1
    assert "in the way" in capsys.readouterr().err
    assert main(["emit", file, "-o", file]) == 1
    assert "is no directory" in capsys.readouterr().err
    assert main(["emit", file, "-o", f"{file}/below"]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(GOOD)
    (tmp_path / "locked").mkdir(mode=0o555)
    assert main(["emit", file, "-o", "locked"]) == 1
    assert "permission denied" in capsys.readouterr().err


# --- new, runs


@pytest.mark.parametrize("template", ["digits", "gpt", "chargpt", "resnet", "transformer", "bert"])
def test_a_new_spec_is_one_without_a_fault(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--from", template]) == 0
    assert main(["check", "mine.dlspec"]) == 0
    assert main(["fmt", "--check", "mine.dlspec"]) == 0
    missing = "note: this version cannot train it yet: `dlspec check mine.dlspec` says what is missing\n"
    assert (missing in capsys.readouterr().err) is (template == "gpt")  # for fsdp
    text = (tmp_path / "mine.dlspec").read_text()
    assert 'onnx("mine.onnx"' in text and "#   dlspec train mine.dlspec" in text
    capsys.readouterr()
    assert main(["new", "mine", "--from", template]) == 1
    assert "mine.dlspec exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "my-net"], "`dlspec new my_net`"),
        (["new", "class"], "cannot be the name of a spec"),
        (["new", "a", "--from", "digts"], "`--from digits`"),
        (["new", "a", "--from", "resnet101"], "`--from resnet50`"),
        (["new", "a", "--from", "gtp"], "`--from gpt`"),
        (["new", "a", "--from", "cnn"], "  lenet          LeNet-5 (LeCun et al. 1998)"),
        (["new", "a", "--from", ""], "  vit            ViT-B/16"),
        (["new", "a", "--set", "x=3"], "--set x=3 has nothing to change"),
    ],
)
def test_a_new_spec_that_cannot_be(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert says in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("word", "template"),
    [("resnet", "resnet18"), ("ResNet-50", "resnet50"), ("GPT-2", "gpt"), ("gan", "dcgan"), ("vgg16", "vgg")],
)
def test_a_spec_is_found_by_what_it_is_called_elsewhere(
    word: str, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--from", word, "--json"]) == 0
    assert json_of(capsys)["template"] == template


def test_a_word_for_several_specs_says_which_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--from", "resnet"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "resnet may be resnet18, resnet50, digits_resnet, preresnet: the first is taken"
    assert second.startswith("mine.dlspec: from resnet18")


def test_the_help_of_new_lists_what_there_is(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--help"]) == 0
    lines = capsys.readouterr().out.split("specs to start from:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in (repo / "specs").glob("*.dlspec"))
    assert all(len(line.split()) > 4 for line in lines)


def test_runs_where_there_are_none_or_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs in runs\n"
    (tmp_path / "runs" / "a-1").mkdir(parents=True)
    (tmp_path / "runs" / "a-1" / "manifest.json").write_text("{")
    assert main(["runs", "--json"]) == 0
    assert [run["state"] for run in json_of(capsys)["runs"]] == ["damaged"]


def test_runs_with_phases_have_a_loss_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "gan-1").mkdir(parents=True)
    (tmp_path / "runs" / "gan-1" / "manifest.json").write_text('{"recipe": "Gan", "finished": null}')
    losses = '"judge_loss": 0.0, "forge_loss": 2.5'
    records = f'{{"step": 4, "split": "train", {losses}, "lr": 1}}\n{{"step": 4, "split": "validation", {losses}}}\n'
    (tmp_path / "runs" / "gan-1" / "metrics.jsonl").write_text(records)
    assert main(["runs"]) == 0
    assert "4  judge 0.0000, forge 2.5000  judge 0.0000, forge 2.5000" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    assert json_of(capsys)["runs"][0]["loss"] == {"judge": 0, "forge": 2.5}
