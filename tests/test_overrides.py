"""`--set`: constants and paths into a recipe, as if the file said so; faults are told at `--set`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch
SPECS = Path(__file__).resolve().parent.parent / "specs"


def spec(name: str = "chargpt") -> Source:
    return Source(f"{name}.dlspec", (SPECS / f"{name}.dlspec").read_text(encoding="utf-8"))


def settings(*overrides: str) -> dict:
    found = compile(spec(), overrides).settings
    assert found is not None
    return found


def test_a_constant_changes_all_that_is_computed_from_it() -> None:
    small = compile(spec(), ["dim=64", "depth=2"])
    assert "dim: int = 64" in small.model_code
    assert small.settings is not None
    # wte 65 x 64, wpe 64 x 64, final norm 64, and two blocks of 12 x 64 x 64 and two norms
    assert small.settings["model"]["parameters"] == 65 * 64 + 64 * 64 + 64 + 2 * (12 * 64 * 64 + 2 * 64)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.batch=7", ("batch",), 7),
        ("train.steps=3 * epoch", ("steps",), None),
        ("train.seed=5", ("seed",), 5),
        ('train.data.files="other.txt"', ("data", "options", "files"), ["other.txt"]),
        ("train.data.window=32", ("data", "options", "window"), 32),
        ("train.accumulate=3", ("accumulate",), 3),
    ],
)
def test_a_path_reaches_into_the_recipe(override: str, path: tuple[str, ...], value: object) -> None:
    if value is None:
        assert analyse(spec(), [override]).failed
        return
    found: object = settings(override)
    for key in path:
        found = found[key]  # type: ignore[index]
    assert found == value


@pytest.mark.parametrize(
    ("override", "help"),
    [
        (
            "train.schedule.warmup=3",
            "--set train.schedule.length=3, or --set 'train.schedule=warmup(3) -> cosine(to = 10%)'",
        ),
        (
            "train.schedule.warmup.length=3",
            "--set train.schedule.length=3, or --set 'train.schedule=warmup(3) -> cosine(to = 10%)'",
        ),
        ("train.schedule.cosine.to=1%", "--set 'train.schedule=warmup(100) -> cosine(to = 1%)'"),
    ],
)
def test_a_stage_of_a_flow_is_no_place(override: str, help: str) -> None:
    (found,) = analyse(spec(), [override]).diagnostics
    assert (found.code, found.help) == ("bad-override", help)
    for way in help.split(", or "):
        _, setting = shlex.split(way)
        assert not analyse(spec(), [setting]).failed


def test_the_number_of_a_patience_has_its_own_name() -> None:
    stops = 'train.early_stop=patience(3, on = "validation.loss")'
    (found,) = analyse(spec(), [stops, "train.early_stop.patience=5"]).diagnostics
    ways = [shlex.split(way)[1] for way in found.help.split(", or ")]
    assert ways == ["train.early_stop.validations=5", 'train.early_stop=patience(5, on = "validation.loss")']
    assert not any(analyse(spec(), [stops, way]).failed for way in ways)


@pytest.mark.parametrize(
    ("line", "override", "ways"),
    [
        ("schedule=plateau(3)", "schedule.plateau=5", ["schedule.patience=5", "schedule=plateau(5)"]),
        ("schedule=plateau(patience = 3)", "schedule.plateau=5", ["schedule.patience=5", "schedule=plateau(5)"]),
        ("schedule=warmup(9) -> plateau(3)", "schedule.plateau=5", ["schedule=warmup(9) -> plateau(5)"]),
        (
            "schedule=step_decay(0.1, at = [50%])",
            "schedule.step_decay=0.5",
            ["schedule.factor=0.5", "schedule=step_decay(0.5, at = [50%])"],
        ),
        ("optimizer=AdamW(lr = 1e-3)", "optimizer.AdamW=3e-4", ["optimizer.lr=3e-4", "optimizer=AdamW(3e-4)"]),
        ("validate=every(50)", "validate.every=25", ["validate.length=25", "validate=every(25)"]),
    ],
)
def test_a_number_for_a_stage_is_that_of_its_first_option(line: str, override: str, ways: list[str]) -> None:
    (found,) = analyse(spec(), [f"train.{line}", f"train.{override}"]).diagnostics
    assert [shlex.split(way)[1] for way in found.help.split(", or ")] == [f"train.{way}" for way in ways]
    assert not any(analyse(spec(), [f"train.{line}", f"train.{way}"]).failed for way in ways)


def test_a_loss_has_no_first_option() -> None:
    (found,) = analyse(spec(), ["train.loss.cross_entropy=0.1"]).diagnostics
    assert (found.code, found.help) == ("bad-override", "--set train.loss=...")


def phases(*overrides: str) -> dict[str, dict]:
    """Those of the DCGAN, by their names."""
    found = compile(spec("dcgan"), overrides).settings
    assert found is not None
    return {phase["name"]: phase for phase in found["phases"]}


def test_a_path_goes_through_a_phase() -> None:
    as_it_stands = phases()
    assert [phase["times"] for phase in as_it_stands.values()] == [1, 1]
    assert [phase["times"] for phase in phases("train.forge.times=2").values()] == [1, 2]
    smoothed = "train.judge.loss=binary_cross_entropy_with_logits(on_real, 0.9)"
    recipe = compile(spec("dcgan"), [smoothed]).recipe_code
    assert recipe is not None and "torch.full_like(on_real, 0.9)" in recipe and "torch.zeros_like" not in recipe


def test_an_option_of_an_optimizer_that_a_phase_shares_is_changed_for_it_alone() -> None:
    recipe = compile(spec("dcgan"), ["train.forge.optimizer.lr=1e-3"]).recipe_code
    assert recipe is not None
    judge, forge = recipe.split("def forge_optimizer")
    assert "lr=2e-4, betas=(0.5, 0.999)" in judge and "lr=1e-3, betas=(0.5, 0.999)" in forge


@pytest.mark.parametrize(
    ("override", "code", "help"),
    [
        ("train.forge=2", "bad-override", "--set train.forge.update=..."),
        ("train.forge.tims=2", "unknown-name", "write `times`"),
        ("train.forg.times=2", "unknown-name", "write `forge`"),
        ("train.forge.times.most=2", "bad-override", "--set train.forge.times=..."),
    ],
)
def test_a_path_through_a_phase_that_leads_nowhere(override: str, code: str, help: str) -> None:
    (found,) = analyse(spec("dcgan"), [override]).diagnostics
    assert (found.code, found.help) == (code, help)


def test_an_option_that_stands_by_position_is_replaced() -> None:
    code = compile(spec(), ["train.optimizer.lr=5e-4"]).recipe_code
    assert code is not None
    assert "lr=5e-4" in code
    assert "1e-3" not in code


@pytest.mark.parametrize(
    ("override", "code", "help"),
    [
        ("depht=2", "unknown-name", "write `depth`"),
        ("train.batch_size=2", "unknown-name", "write `batch`"),
        ("train.optimizer.learning_rate=2", "unknown-option", "write `lr`"),
        ("tran.batch=2", "unknown-name", "write `train`"),
        ("depth", "bad-override", "--set width=512"),
        ("depth=", "bad-override", "--set width=512"),
        ("depth=(", "bad-override", ""),
        ("depth=2.5", "wrong-value", ""),
        ("train.batch.x=2", "bad-override", ""),
        ("train.optimizer.lr.x=2", "bad-override", ""),
    ],
)
def test_a_fault_is_told_where_it_was_written(override: str, code: str, help: str) -> None:
    found = [d for d in analyse(spec(), [override]).diagnostics if d.severity == "error"]
    assert [d.code for d in found] == [code]
    assert help in found[0].help
    if code != "wrong-value":
        assert found[0].span.source.name.startswith("--set")
        assert 0 <= found[0].span.start <= found[0].span.end <= len(override)


DIGITS = spec("digits").text
INTO_THE_RECIPE = [
    ("digits", DIGITS, "batch=16", "train.batch=16"),
    ("digits", DIGITS, "batch_size=16", "train.batch=16"),
    ("digits", DIGITS, "lr=1e-3", "train.optimizer.lr=1e-3"),
    ("digits", DIGITS, "optimizer.lr=1e-3", "train.optimizer.lr=1e-3"),
    ("digits", DIGITS, "optimizer.learning_rate=1e-3", "train.optimizer.lr=1e-3"),
    ("digits", DIGITS, "MLP.batch=16", "train.batch=16"),
    ("digits", DIGITS, "train.MLP.batch=16", "train.batch=16"),
    ("digits", DIGITS, "train.patience=3", "train.early_stop=patience(3)"),
    ("digits", DIGITS, "train.steps=100", "train.epochs=none train.steps=100"),
    ("digits", DIGITS, "steps=100", "train.epochs=none train.steps=100"),
    ("chargpt", spec().text, "train.epochs=2", "train.steps=none train.epochs=2"),
    ("chargpt", spec().text, 'train.data="x.txt"', 'train.data.files="x.txt"'),
    ("digits", DIGITS.replace("= digits", '= idx("a.gz", "b.gz")'), "train.data=x.gz", 'train.data.images="x.gz"'),
    ("dcgan", spec("dcgan").text, "train.phase.judge.times=2", "train.judge.times=2"),
    ("dcgan", spec("dcgan").text, "judge.times=2", "train.judge.times=2"),
]


@pytest.mark.parametrize(
    ("name", "text", "override", "ways"), INTO_THE_RECIPE, ids=[case[2] for case in INTO_THE_RECIPE]
)
def test_what_leads_nowhere_is_shown_the_way_into_the_recipe(name: str, text: str, override: str, ways: str) -> None:
    source = Source(f"{name}.dlspec", text)
    (found,) = analyse(source, [override]).diagnostics
    words = shlex.split(found.help.removeprefix("write `").removesuffix("`"))
    assert (words[::2], words[1::2]) == (["--set"] * len(ways.split(" train.")), shlex.split(ways, posix=False))
    assert not analyse(source, words[1::2]).failed


@pytest.mark.parametrize("overrides", [["train.epochs=none"], ["train.epochs=none", "train.steps=none"]])
def test_a_run_without_a_length_is_told(overrides: list[str]) -> None:
    (found,) = analyse(spec("digits"), overrides).diagnostics
    assert (found.code, found.message) == ("missing-key", "`train MLP` needs `steps` or `epochs`")


@pytest.mark.parametrize(
    ("value", "call"),
    [
        ("x.gz", 'idx("x.gz", "train-labels.gz")'),
        ('"x.csv"', 'table("x.csv", features = ["a", "b"], target = "c")'),
        ("x.npz", 'arrays("x.npz")'),
    ],
)
def test_a_file_is_shown_a_source_that_reads_it(value: str, call: str) -> None:
    (found,) = analyse(spec("digits"), [f"train.data={value}"]).diagnostics
    assert (found.code, found.help) == ("wrong-value", f"such as `{call}`")
