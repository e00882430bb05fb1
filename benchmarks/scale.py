"""What a check takes of 10,000 written layers, of half as many, of 10,000 copies and of specs that nest 200 deep.

    python benchmarks/scale.py [ROUNDS]

Processor time, the best of some rounds in turn, each in a process of its own. 10,000 layers are to take less than 6 s,
and at most 2.3 times what 5,000 take.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

LIMIT, RATIO = 6.0, 2.3
_DEEP = 200
_MEASURE = """
import sys, time
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source
text = sys.stdin.read()
start = time.process_time()
analysis = analyse(Source("scale.dlspec", text))
print(time.process_time() - start)
sys.exit(analysis.failed)
"""


def model(body: str, before: str = "") -> str:
    return f"dlspec 1\n{before}model Scale: (x: [B, 64]) -> (y: [B, 64]) {{\n{body}\n}}\n"


def layers(count: int) -> str:
    return model("\n".join(f"  fc{i}: Linear(64, bias = false) -> relu" for i in range(count)))


def nested(opening: str, closing: str = " }") -> str:
    return model(f"  {opening * _DEEP}Linear(64){closing * _DEEP}")


SPECS = {
    "5,000 layers": layers(5_000),
    "10,000 layers": layers(10_000),
    "10,000 copies": model("  repeat(10_000) { Linear(64) -> relu }"),
    "groups, 200 deep": model(f"  {''.join(f'g{i}: {{ ' for i in range(_DEEP))}Linear(64){' }' * _DEEP}"),
    "residuals, 200 deep": nested("residual { "),
    "repeats, 200 deep": nested("repeat(1) { "),
    "parentheses, 200 deep": nested("(", ")"),
    "lists, 200 deep": nested("[", "] -> concat"),
    "blocks, 200 deep": model(
        "  B0", "".join(f"block B{i} {{ B{i + 1} }}\n" for i in range(_DEEP)) + f"block B{_DEEP} {{ relu }}\n"
    ),
}


def measure(text: str) -> float:
    """Seconds of a processor that one check takes."""
    command = [sys.executable, "-c", _MEASURE]
    return float(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "rounds", nargs="?", type=int, default=3, help="how often each is measured; the best counts (default: 3)"
    )
    rounds = parser.parse_args().rounds
    taken = {name: min(measure(text) for _ in range(rounds)) for name, text in SPECS.items()}
    for name, seconds in taken.items():
        print(f"{name:<22} {seconds:6.2f} s")
    ratio = taken["10,000 layers"] / taken["5,000 layers"]
    print(f"{'10,000 / 5,000':<22} {ratio:6.2f}     (limit {RATIO}; 10,000 layers in {LIMIT} s; best of {rounds})")


if __name__ == "__main__":
    main()
