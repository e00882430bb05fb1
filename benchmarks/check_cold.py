"""What a cold `dlspec check` costs, against importing lark and pydantic alone; the ratio is to stay at 1.8 or less.

    python benchmarks/check_cold.py [PAIRS]

Processes are started in turn, so that a busy machine is busy for both. Two ratios are printed, each of medians: of the
time that passed, and of processor time, which other processes on the machine disturb less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

SPEC = Path(__file__).resolve().parents[1] / "specs" / "gpt.dlspec"
COMMANDS = {
    "import lark, pydantic": [sys.executable, "-c", "import lark, pydantic"],
    "dlspec check": [sys.executable, "-m", "dlspec", "check", str(SPEC)],
}
LIMIT = 1.8
# Both are measured with compiled bytecode, as an installed package has it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds that one process took: passed, and of a processor."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, 1)])
    _, status, usage = os.wait4(pid, 0)
    passed = time.perf_counter() - start
    os.close(nowhere)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return passed, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pairs", nargs="?", type=int, default=15, help="how often both are started in turn (default: 15)"
    )
    pairs = parser.parse_args().pairs
    for command in COMMANDS.values():
        measure(command)  # compiles what is not compiled yet
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(pairs):
        for name, command in COMMANDS.items():
            taken[name].append(measure(command))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    for name, (passed, processor) in medians.items():
        print(f"{name:<24} {passed * 1000:6.0f} ms passed  {processor * 1000:6.0f} ms of a processor")
    base, check = medians.values()
    ratios = [mine / theirs for mine, theirs in zip(check, base, strict=True)]
    print(f"{'ratio':<24} {ratios[0]:6.2f}            {ratios[1]:6.2f}   (limit {LIMIT}, {pairs} pairs)")


if __name__ == "__main__":
    main()
