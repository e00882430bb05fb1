"""Metrics of a whole set that are no means: what is kept of each batch, and what comes out for all of them."""

from __future__ import annotations

import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from training_cases import plan_of, read_case, recipe_of, recipe_text

from dlspec.compiler.training.settings import settings
from dlspec.runtime.text import ByteTokenizer, line_of

SAID = ["the cat sat on the mat today", "a dog barks loudly at the old postman", "nothing of this is right at all"]
TRUE = ["the cat sat on the mat", "a dog barks at the old postman, loudly", "every word here is another one"]
CHANGES: dict[str, str | None] = {
    "loss": "cross_entropy(logits, data.targets, ignore = pad)",
    "metrics": "[accuracy(logits, data.targets), bleu(logits, data.targets)]",
}


def test_functions_of_the_recipe() -> None:
    """Means stay in `metrics`; the others say what a batch leaves and what comes of it."""
    text = recipe_text(plan_of("text", CHANGES))
    assert (
        '''
def metric_states(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """What bleu of a whole set keeps of a batch: bleu_said and bleu_true are joined."""
    targets = targets.masked_fill(targets == 0, -100)  # pad does not count
    counted = targets != -100
    return {
        "bleu_said": logits.argmax(-1).masked_fill(~counted, -100),
        "bleu_true": targets,
    }


def metric_values(
    bleu_said: Tensor, bleu_true: Tensor, decode: Callable[[list[int]], str]
) -> dict[str, float]:
    """bleu over a whole set, of what its batches keep."""
    said = [decode(row[row >= 0].tolist()) for row in bleu_said]
    true = [decode(row[row >= 0].tolist()) for row in bleu_true]
    return {"bleu": BLEU().corpus_score(said, [true]).score}
'''
        in text
    )
    assert "from sacrebleu.metrics import BLEU\n" in text and "from collections.abc import Callable\n" in text
    assert '"accuracy"' in text and '"bleu":' not in text[text.index("def metrics") : text.index("def metric_states")]


def test_settings_say_what_is_kept() -> None:
    found = settings(plan_of("text", CHANGES), "a", {})
    assert found["metrics"]["names"] == ["accuracy"]
    assert found["set_metrics"] == {
        "arguments": {"logits": "output.logits", "targets": "data.targets"},
        "keep": {"bleu_said": "join", "bleu_true": "join"},
        "decodes": True,
    }
    assert "set_metrics" not in settings(plan_of("text"), "a", {})


@pytest.mark.parametrize("n", [2, 4])
def test_bleu_of_a_set_is_that_of_the_corpus(n: int) -> None:
    """Not the mean of those of its batches, and without what does not count."""
    recipe = recipe_of("text", {**CHANGES, "metrics": f"bleu(logits, data.targets, n = {n})"})
    width = max(map(len, [*SAID, *TRUE]))

    def rows(texts: list[str], fill: int) -> torch.Tensor:
        return torch.tensor([[*text.encode(), *[fill] * (width - len(text))] for text in texts])

    logits, targets = torch.nn.functional.one_hot(rows(SAID, 0), 256).float(), rows(TRUE, -100)
    parts = [recipe.metric_states(logits[part], targets[part]) for part in (slice(0, 2), slice(2, 3))]
    states = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    found = recipe.metric_values(**states, decode=lambda ids: line_of(ByteTokenizer(), ids))
    cut = [said[: len(true)] for said, true in zip(SAID, TRUE, strict=True)]  # where nothing is asked, nothing is said
    name = "bleu" if n == 4 else f"bleu_{n}"
    assert found == {name: BLEU(max_ngram_order=n).corpus_score(cut, [TRUE]).score}
    assert 5 < found[name] < 90


def test_bleu_needs_texts() -> None:
    assert read_case("pictures", metrics="bleu(logits, data.label)").codes == ["shape-mismatch"]
    tokens = read_case("text", data='tokens("x.bin", window = context)', metrics="bleu(logits, data.targets)")
    assert tokens.codes == ["needs-text"]
    assert "`tokens` has no tokenizer" in tokens.diagnostics[0].message
    assert not read_case("text", metrics="bleu(logits, data.targets)").diagnostics
