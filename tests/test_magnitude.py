"""Counts, bytes and FLOPs in three digits, however large a model is."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_cases import Write, json_of, write

from dlspec.cli.main import main
from dlspec.cli.units import bytes_text, count_text
from dlspec.compiler.magnitude import scaled

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 "),
        (7, "7 "),
        (999, "999 "),
        (1_000, "1.00 k"),
        (9_994, "9.99 k"),
        (9_996, "10.0 k"),
        (99_940, "99.9 k"),
        (99_960, "100 k"),
        (999_499, "999 k"),
        (999_501, "1.00 M"),
        (292_000_000_000, "292 G"),
        (999_499_999_999_999, "999 T"),
        (999_500_000_000_001, "1.00 P"),
        (4 * 10**18, "4.00 E"),
        (10**21, "1.00 Z"),
        (10**24, "1.00 Y"),
        (10**27, "1.00 R"),
        (10**30, "1.00 Q"),
        (999_400 * 10**27, "999 Q"),
        (999_600 * 10**27, "1.00e33 "),
        (123_456 * 10**30, "1.23e35 "),
        (9_999 * 10**32, "1.00e36 "),
        pytest.param(10**5_000, "1.00e5000 ", id="five thousand digits"),
    ],
)
def test_three_digits_and_a_prefix(count: int, text: str) -> None:
    assert count_text(count) == text
    assert bytes_text(count) == f"{text}B"


def test_digits_and_power_are_the_count() -> None:
    """Every power of ten has the digits 1, and the next prefix follows on the last."""
    powers = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21, "Y": 24, "R": 27, "Q": 30}
    for power in range(400):
        digits, prefix = scaled(7 * 10**power)
        mantissa, _, exponent = digits.partition("e")
        assert 1 <= float(mantissa) < 1000
        assert round(float(mantissa)) * 10 ** (powers[prefix] + int(exponent or 0)) == 7 * 10**power


@pytest.mark.parametrize("width", [10**9, 10**18, 10**160])
def test_a_model_of_any_size_is_counted_and_drawn(width: int, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    body = f"model Large: (x: [B, {width}]) -> (y: [B, {width}]) {{\n  Linear({width}, bias = false)\n}}\n"
    file = write(f"dlspec 1\n{body}")
    other = write(f"dlspec 1\n{body.replace(', bias = false', '')}", "other.dlspec")
    weights, parameters = count_text(4 * width**2), f"{width**2:,}"
    assert main(["plan", file, "--memory", f"{'9' * 400}GB"]) == 0
    told = capsys.readouterr().out
    assert f"{weights}B" in told and parameters in told and "fit into 1.00e409 B" in told
    assert main(["show", file]) == 0
    assert parameters in capsys.readouterr().out
    assert main(["show", file, "--svg", "large.svg"]) == 0
    assert f">{count_text(width**2).rstrip()}</text>" in Path("large.svg").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["diff", file, other]) == 0
    assert f"+{count_text(width).rstrip()} parameters" in capsys.readouterr().out
    assert main(["plan", file, "--json"]) == 0
    assert json_of(capsys)["parameters"] == width**2
