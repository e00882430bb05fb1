"""Seeds for everything that is drawn, each a pure function of what it is drawn for.

Nothing of a run hangs on how often a generator was asked before: batch 7 of epoch 3 is the same after a restart, on
another machine, and in another order of work. That is what makes resuming exact and free of replay.
"""

from __future__ import annotations

from hashlib import blake2b


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed of 63 bits for `purpose`, such as ("order", epoch), of the run with `seed`."""
    key = repr((seed, *purpose)).encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "little") >> 1
