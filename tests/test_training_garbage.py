"""Whatever stands in a `train` section, the compiler answers with findings or a plan, and never with an exception."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import CASES, recipe_text, spec

from dlspec.compiler.build.model import build_model
from dlspec.compiler.semantics.overrides import apply_overrides
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.resolve import resolve
from dlspec.compiler.training.read import read_train
from dlspec.compiler.training.settings import settings as settings_of
from dlspec.grammar import Diagnostic, Source, parse, render
from dlspec.runtime.settings import read_settings

pytestmark = pytest.mark.no_torch

WORDS = """
data loss metrics optimizer schedule steps epochs batch accumulate clip clip_value precision seed deterministic validate
checkpoint early_stop sample init parallel compile kernels digits text tokens arrays task characters bytes bpe copy
cross_entropy mse mae accuracy perplexity AdamW SGD Adam warmup stable cosine linear constant every patience normal
logits output image x tokens label targets data.label data.targets data data.x.y epoch classes context pad peak
images idx pairs table audio iris huber focal l1 weights kl_normal triplet ctc f1 Muon Lion Adafactor step_decay
inverse_sqrt plateau one_cycle exponential polynomial freeze rates ema start hub he fsdp tensor random_crop normalize
imagenet two_views mask_tokens mixup phase update linear "linear" "*" [linear] fp16 triton others flow at restarts map
true false none 0 1 2 64 0.5 1e-3 5% 150% "a.txt" "" [1,2] [] [a=1] (1) - + * / == -> ( ) , = lr to top window length
""".split()
EXTRA = {
    "pictures": "schedule = warmup(5%) -> step_decay(0.1, at = [20 * epoch])\n  validate = every(5 * epoch)\n"
    '  freeze = [linear]\n  start = weights("a", map = ["b" -> "linear"])\n  parallel = fsdp + tensor(2)\n',
    "text": "",
    "table": "rates = [linear = 2]\n  phase one {\n    update = [linear]\n    loss = kl_normal(output, output)\n  }\n",
}


def findings(text: str, overrides: list[str] | None = None) -> list[Diagnostic] | None:
    """What is said of the recipe, having gone as far as settings and a recipe; None for what does not parse."""
    source = Source("a.dlspec", text)
    file, found = parse(source)
    if found:
        return None
    outside, report = Report(), Report()
    file, _ = apply_overrides(file, (), overrides or [], outside)
    if outside.failed:
        return None
    names = resolve(source, file, outside)
    for train in names.scope.recipes.values():
        model = names.scope.models.get(train.model.text)
        if model is None:
            continue
        plan = read_train(train, names.scope, build_model(names, model, outside).ports, report)
        assert plan is not None or report.diagnostics
        assert (plan is None) or not report.failed
        if plan is not None and plan.runs:
            model_section = {"class": "M", "inputs": [], "outputs": [], "limits": {}, "parameters": 0}
            values = settings_of(plan, "a", model_section)
            read_settings(json.loads(json.dumps(values, allow_nan=False)))
            compile(recipe_text(plan), "recipe.py", "exec")
    return report.diagnostics


@pytest.mark.slow
@settings(max_examples=400)
@given(st.sampled_from(sorted(CASES)), st.data())
def test_a_word_put_in_the_place_of_another(case: str, data: st.DataObject) -> None:
    text = spec(case, more=EXTRA[case] and f"  {EXTRA[case]}")
    start = text.index("train ")
    tokens = [m for m in re.finditer(r'"[^"\n]*"|[\w.%]+|[^\s\w]', text) if m.start() > start + 6]
    for _ in range(data.draw(st.integers(1, 3))):
        chosen = data.draw(st.sampled_from(tokens))
        word = data.draw(st.sampled_from([*WORDS, ""]))
        old = chosen.group()
        text = (
            text[: chosen.start()] + word + text[chosen.end() :] if old == text[chosen.start() : chosen.end()] else text
        )
    found = findings(text)
    for diagnostic in found or []:
        assert diagnostic.message and diagnostic.label
        assert render(diagnostic)


@settings(max_examples=150)
@given(st.sampled_from(sorted(CASES)), st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.sampled_from(WORDS))
def test_any_words_as_a_value(case: str, words: list[str], key: str) -> None:
    findings(spec(case, more=f"  {key} = {' '.join(words)}\n"))


@settings(max_examples=100)
@given(st.lists(st.sampled_from(WORDS[:29]), min_size=1, max_size=3), st.sampled_from(WORDS))
def test_any_word_set_from_outside(keys: list[str], value: str) -> None:
    found = findings(spec("pictures"), [f"train.{key}={value}" for key in keys])
    places = [(d.span.source.name, d.span.start) for d in found or []]
    assert all(a <= b for a, b in pairwise(places))
