"""export_report.json: what was written, and how far each file was found to be from the trained model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..durable import hash_file, write_synced
from .proof import Proof

REPORT = "export_report.json"
SCHEMA = 1


def write_report(
    folder: Path, *, version: str, spec_sha256: str, step: int, proofs: Mapping[str, Proof], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the report beside the files that it is about, and give what it says.

    `proofs` and `facts` (of `check_onnx`) are keyed by file name; a file without a proof says so.
    """
    files = sorted(file for file in folder.iterdir() if file.name != REPORT)
    report = {
        "schema": SCHEMA,
        "dlspec": version,
        "spec_sha256": spec_sha256,
        "step": step,
        "files": {
            file.name: {
                "sha256": hash_file(file),
                "size": file.stat().st_size,
                **({"facts": facts[file.name]} if file.name in facts else {}),
                "proof": proofs[file.name].to_json() if file.name in proofs else None,
            }
            for file in files
        },
    }
    write_synced(folder / REPORT, json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")
    return report
