"""An emitted recipe reads as written by hand: formatted, without anything that is not needed, the same everywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_cases import TEXT, plan_of, recipe_text

from dlspec.compiler.backends.pytorch.recipe import emit_recipe

pytestmark = pytest.mark.no_torch

Changes = dict[str, str | None]
LOSSES = {
    "pictures": ["cross_entropy(logits, data.label)", "mse(logits, 1) / 3 + 0.5 * cross_entropy(logits, data.label)"],
    "text": [
        "cross_entropy(logits, data.targets, ignore = pad, smoothing = 0.1)",
        "0.5 * cross_entropy(logits, data.targets) + cross_entropy(logits, tokens) + mse(logits, 0) - mae(logits, 1)",
    ],
    "table": [
        "mse(output, data.y)",
        "0.5 * huber(output, data.y, delta = 0.1) + mae(output, data.y)",
        "binary_cross_entropy_with_logits(output, data.quite_a_long_name_for_a_field)",
    ],
}
METRICS = {
    "pictures": [
        None,
        "[accuracy(logits, data.label)]",
        "[accuracy(logits, data.label, top = 5), mse(logits, logits)]",
    ],
    "text": ["[accuracy(logits, data.targets), perplexity(logits, data.targets)]"],
    "table": ["[mae(output, data.quite_a_long_name_for_a_field), mse(output, data.quite_a_long_name_for_a_field)]"],
}
OPTIMIZERS = [
    "AdamW(lr = 6e-4, betas = [0.9, 0.95], eps = 1e-6, decay = 0.1)",
    "SGD(lr = 2.0 * (64 * 4_000) ^ -0.5, momentum = 0.9, nesterov = true, decay_on = all, decay = 1e-4)",
    "Adam(lr = 1e-3)",
    "AdamW(lr = 1e-3, decay = 0)",
    "RMSprop(lr = 1e-3, alpha = 0.9, eps = 1e-6, momentum = 0.9, decay = 1e-4, centered = true)",
    "NAdam(lr = 1e-3, betas = [0.8, 0.95], momentum_decay = 1e-3, decay = 0.1, decay_on = all)",
]
SCHEDULES = [
    None,
    "warmup(5%) -> stable(2 * epoch) -> cosine(20%, to = 10%) -> warmup(10) -> linear(to = 1%)",
    "warmup(3) -> cosine(to = 0)",
    "warmup(5%) -> polynomial(20%, to = 10%, power = 0.9) -> exponential(to = 1%)",
    "warmup(2 * epoch) -> inverse_sqrt",
    "cosine(30%, to = 10%, restarts = 2) -> step_decay(0.1, at = [50%, 75%])",
]


def combinations() -> list[tuple[str, Changes]]:
    found: list[tuple[str, Changes]] = []
    for case, losses in LOSSES.items():
        for number, loss in enumerate(losses):
            for other, metrics in enumerate(METRICS[case]):
                for third, schedule in enumerate(SCHEDULES):
                    optimizer = OPTIMIZERS[(number + other + third) % len(OPTIMIZERS)]
                    found.append(
                        (case, {"loss": loss, "metrics": metrics, "optimizer": optimizer, "schedule": schedule})
                    )
    return found


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many recipes, a file each, and one whose names are as long as names get."""
    folder = tmp_path_factory.mktemp("recipes")
    for number, (case, changes) in enumerate(combinations()):
        (folder / f"recipe_{number}.py").write_text(recipe_text(plan_of(case, changes)), encoding="utf-8")
    long = TEXT.replace("logits", "logits_of_the_language_model").replace("model LM", "model LanguageModelOfMine")
    changes: Changes = {
        "loss": "cross_entropy(logits_of_the_language_model, data.targets, ignore = pad)",
        "metrics": "[accuracy(logits_of_the_language_model, data.targets, top = 5), "
        "perplexity(logits_of_the_language_model, data.targets)]",
    }
    (folder / "long.py").write_text(recipe_text(plan_of("text", changes, long)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]], ids=["lint", "format"])
def test_recipes_are_clean_under_ruffs_defaults(recipes: Path, command: list[str]) -> None:
    """Which finds imports, names and branches that nothing uses, too."""
    pytest.importorskip("ruff", reason="ruff is not in this environment")
    ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(recipes)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_math_is_imported_only_where_it_is_used(recipes: Path) -> None:
    seen = set()
    for path in recipes.iterdir():
        text = path.read_text(encoding="utf-8")
        imported = "import math" in text
        assert imported == ("math." in text.replace("import math", ""))
        seen.add(imported)
    assert seen == {True, False}


def test_a_recipe_defines_what_an_artefact_needs() -> None:
    for case, changes in combinations():
        tree = ast.parse(recipe_text(plan_of(case, changes)))
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        metrics = ["metrics"] if changes["metrics"] else []
        assert defined == ["loss", *metrics, "parameter_groups", "optimizer", "learning_rate"]
        assert all(
            ast.get_docstring(node)
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            if node.name != "optimizer"
        )


def test_it_says_where_it_comes_from() -> None:
    first = recipe_text(plan_of("pictures")).splitlines()[0]
    assert first.startswith('"""How MLP is trained, from a.dlspec: ')


@pytest.mark.slow
def test_the_bytes_do_not_hang_on_where_it_is_emitted(repo: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(repo / 'tests')!r})\n"
        "sys.stdout.reconfigure(encoding='utf-8', newline='\\n')\n"
        "from test_recipe_text import combinations\n"
        "from training_cases import plan_of, recipe_text\n"
        "for case, changes in combinations(): print(recipe_text(plan_of(case, changes)))\n"
    )
    found = set()
    for seed, locale, folder in (("0", "C", repo), ("1", "C.UTF-8", tmp_path), ("77", "tr_TR.UTF-8", tmp_path.parent)):
        env = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale}
        command = [sys.executable, "-c", program]
        found.add(subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1
    assert found.pop().count(b"def learning_rate") == len(combinations())


def test_an_ignored_target_is_named_as_in_the_spec() -> None:
    text = recipe_text(plan_of("text", {"loss": "cross_entropy(logits, data.targets, ignore = pad)"}))
    assert "    targets = targets.masked_fill(targets == 0, -100)  # pad does not count\n" in text
    assert "a mean over all entries that count" in text


def test_a_recipe_of_another_name_says_so() -> None:
    plan = plan_of("pictures")
    assert '"""How MLP is trained as MLP2,' not in emit_recipe(plan, "a.dlspec", "MLP")
    assert '"""How Net is trained as MLP, from a.dlspec' in emit_recipe(plan, "a.dlspec", "Net")
