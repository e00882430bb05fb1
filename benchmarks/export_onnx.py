"""The ONNX export of the 12-layer GPT (specs/gpt.dlspec, 124M random weights), as a process of its own.

    python benchmarks/export_onnx.py [--torch] [--record] [--quick]

Timed from the start of Python to its end, imports and the file of 0.5 GB included, proof not included; PyTorch must
not have been loaded. Target: 1.5 s. `--torch` also times PyTorch's own exporter on the same model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from programs import SPECS, compile_spec
from record import machine, others_share, record, spread, told, versions

from dlspec.compiler.ir.weights import weights
from dlspec.compiler.pipeline import Artefact

TARGET = 1.5

# What `dlspec export --no-proof` does to a checkpoint.
OURS = """
import sys
from pathlib import Path
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.weights import SafetensorsFile
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
spec, weights, out, *overrides = sys.argv[1:]
graph = compile(Source("gpt.dlspec", Path(spec).read_text(encoding="utf-8")), overrides).graph
save(build(graph, SafetensorsFile(Path(weights)), metadata={}), Path(out))
sys.exit("torch was loaded" if "torch" in sys.modules else 0)
"""

# The same file from the emitted model; the exporter by tracing, since the other one needs a further package.
TORCH = """
import sys
import torch
from safetensors.torch import load_file
sys.path.insert(0, sys.argv[4])
import gpt
weights = load_file(sys.argv[2])
model = gpt.GPT()
model.load_state_dict(weights | {"head.weight": weights["wte.weight"]})
names = {"input_names": ["tokens"], "output_names": ["logits"]}
open_dims = {"tokens": {0: "B", 1: "T"}}
tokens = torch.zeros(2, 8, dtype=torch.long)
torch.onnx.export(model.eval(), (tokens,), sys.argv[3], dynamic_axes=open_dims, dynamo=False, **names)
"""


QUICK = ("depth=2", "dim=96", "vocab=300")


def write_checkpoint(artefact: Artefact, path: Path) -> None:
    """Random weights under the keys of the model."""
    import numpy as np
    from safetensors.numpy import save_file

    random = np.random.default_rng(0)
    shapes = {weight.key: weight.shape for weight in weights(artefact.graph) if not weight.shared}
    save_file({key: random.standard_normal(shape, dtype=np.float32) for key, shape in shapes.items()}, path)


def seconds(program: str, *arguments: str | Path) -> tuple[float, float]:
    """Of the wall and of the processor, for a process that runs the program."""
    before, begun = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    took, after = time.perf_counter() - begun, os.times()
    if done.returncode:
        sys.exit(f"the export failed:\n{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return took, used


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", action="store_true", help="time PyTorch's exporter as well, once")
    parser.add_argument("--record", action="store_true", help="append to results/export_onnx.json")
    parser.add_argument("--quick", action="store_true", help="a small model, to see that it works")
    asked = parser.parse_args(arguments)
    overrides = QUICK if asked.quick else ()
    artefact = compile_spec("gpt", *overrides)
    with TemporaryDirectory() as place, others_share() as share:
        folder = Path(place)
        write_checkpoint(artefact, folder / "gpt.safetensors")
        files = (SPECS / "gpt.dlspec", folder / "gpt.safetensors", folder / "gpt.onnx")
        runs = [seconds(OURS, *files, *overrides) for _ in range(2 if asked.quick else 8)][1:]
        size = files[-1].stat().st_size
        files[-1].unlink()
        by_torch = None
        if asked.torch:
            (folder / "gpt.py").write_text(artefact.model_code, encoding="utf-8")
            by_torch, _ = seconds(TORCH, *files, folder)
    wall, used = (spread(list(side)) for side in zip(*runs, strict=True))
    print(f"GPT, {size / 1e6:,.0f} MB of ONNX, {len(runs)} exports after one to warm the disk's cache")
    print(f"wall: {told(wall)} s, target {TARGET}; processor: {told(used)} s; PyTorch was not loaded")
    print(f"other processes had {share.get('others', 0):.0%} of the cores")
    if by_torch is not None:
        print(f"PyTorch's exporter: {by_torch:.1f} s")
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("numpy", "onnx-ir"),
            "exports": len(runs),
            "megabytes": round(size / 1e6),
            "seconds": wall,
            "processor_seconds": used,
            "target": TARGET,
            "met": wall["median"] < TARGET,
            **({"torch": {"version": versions("torch")["torch"], "seconds": round(by_torch, 1)}} if by_torch else {}),
            **share,
        }
        print(f"recorded in {record('export_onnx', result).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
