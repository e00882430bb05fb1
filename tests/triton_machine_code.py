"""What the compiler makes of a kernel template for a machine that need not be there."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TARGETS = {
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_80": GPUTarget("cuda", 80, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
_WIDE = {"cuda": r"ld\.global\.[\w.:]*v(4\.b32|2\.b64)|cp\.async\.cg", "hip": r"(global|buffer)_load_dwordx4"}


@dataclass(frozen=True)
class MachineCode:
    registers: int
    stack: int
    """Bytes a thread: what did not fit into registers."""
    shared: int
    """Bytes a program."""
    wide_loads: int
    """Places in the text where a thread loads 16 bytes at once."""
    text: str = field(repr=False)
    """In the machine's assembly language, or PTX."""


def compiled(
    kernel: Any, types: Mapping[str, str], constants: Mapping[str, Any], threads: int, target: str = "sm_90",
    multiples_of_16: Collection[str] = (), stages: int = 3,
) -> MachineCode:  # fmt: skip
    """The code of a kernel that was loaded for the compiler. `types` are Triton's, "*bf16" of a pointer.

    `threads` are those of a program. Parameters in `constants` have no type; pointers are aligned to 16 bytes.
    """
    names = [p.name for p in kernel.params]
    signature = {name: "constexpr" if name in constants else types[name] for name in names}
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, name in enumerate(names)
        if signature[name].startswith("*") or name in multiples_of_16
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=dict(constants), attrs=aligned)
    machine = TARGETS[target]
    code = triton.compile(
        source, target=machine, options={"num_warps": threads // machine.warp_size, "num_stages": stages}
    )
    if machine.backend == "hip":
        text = code.asm["amdgcn"]
        registers, stack = (_number(rf"\.{key}:\s+(\d+)", text) for key in ("vgpr_count", "private_segment_fixed_size"))
    else:
        text = code.asm["ptx"]
        usage = _resource_usage(code.asm["cubin"])
        registers, stack = (_number(rf"{key}:(\d+)", usage) for key in ("REG", "STACK"))
    return MachineCode(registers, stack, code.metadata.shared, len(re.findall(_WIDE[machine.backend], text)), text)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return int(found[1])


def _resource_usage(cubin: bytes) -> str:
    """What `cuobjdump`, which Triton brings along, says of the kernel."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    return done.stdout.split("Function")[-1]
