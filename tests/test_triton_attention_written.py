"""The text of specialised attention kernels: what was asked for and nothing else, laid out as ruff has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from triton_attention_cases import CAUSAL, CHOSEN_AT_LAUNCH, COVER, PLAIN, constants, file_text, kernels, roots
from triton_files import hold_to_ruff

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.slow
def test_what_is_not_asked_for_is_not_there() -> None:
    words = {
        "softcap": ("tanh", "cap"),
        "weights": (r"\bweights\b", "def score"),
        "bias": ("bias",),
        "slopes": ("slopes", "tl.abs"),
        "drop": ("randint", "seed", "drop", "kept"),
        "window": ("window",),
        "prefix": ("prefix",),
        "documents": ("documents", "spans"),
        "mask": (r"\bmask[ ,+]",),
        "described": (r"source\.load",),
    }
    for case in (PLAIN, CAUSAL, *COVER):
        text = re.sub(r'"""(?s:.*?)"""|#.*', "", kernels(case).text)
        for factor, patterns in words.items():
            shared = "tl.abs" if case["window"] or case["weights"] else ""
            for pattern in patterns:
                if case[factor] == PLAIN[factor] and pattern != shared:
                    assert not re.search(pattern, text), (factor, pattern, text)
        if case["weights"] != "learned":
            assert not re.search("d_weight|by_weights", text), text
        left = set(re.findall(r"\b[A-Z][A-Z_]{2,}\b", text)) - CHOSEN_AT_LAUNCH
        values = {"VALUE_WIDTH", "VALUE_PADDED"} if case["value_width"] else set[str]()
        assert left <= {"WIDTH", "PADDED", *values, "GROUP", "ROWS", "MASKED", "INSIDE"}, left


@pytest.mark.slow
def test_the_layout_is_ruffs_and_its_defaults_find_nothing(tmp_path: Path) -> None:
    for i, case in enumerate((PLAIN, CAUSAL, *COVER)):
        (tmp_path / f"kernels_{i}.py").write_text(file_text(kernels(case)), encoding="utf-8")
    hold_to_ruff({}, tmp_path)


def test_plain_causal_attention_is_the_golden_file() -> None:
    assert file_text(kernels(CAUSAL | {"width": 64})) == (GOLDEN / "attention_kernels.py").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_docstring_names_no_feature_that_is_not_there() -> None:
    for case in (PLAIN, CAUSAL, *COVER):
        text = kernels(case).text
        assert set(FEATURES.findall(text)) <= {"MASKED", "INSIDE"}


FEATURES = re.compile(
    r"\b(?:DESCRIBED|RAGGED|SHIFTED|CAUSAL|WINDOW|ONE_SIDED|PREFIX|PREFIX_EACH|DOCUMENTS|KEY_MASK|PAIR_MASK|SOFTCAP"
    r"|SCORE|LEARNED|BIAS|BIAS_EACH|ALIBI|DROPOUT|MASKED|INSIDE)\b"
)


def test_the_text_does_not_depend_on_hashes(repo: Path) -> None:
    program = (
        "from dlspec.compiler.backends.triton.specialise import specialise\n"
        f"print(specialise({roots(CAUSAL)}, {constants(CAUSAL)}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "77")
    }
    assert len(outputs) == 1
