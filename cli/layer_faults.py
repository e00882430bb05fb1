"""What a layer written in Python raises while it runs is no bug of ours: it gets a message and not a report."""

from __future__ import annotations

import linecache
from pathlib import PurePosixPath

from ..runtime.errors import RuntimeFault

LAYERS = "dlspec-layers:"
"""What begins the names under which `runtime.program` loads files with layers."""


def layer_fault(error: BaseException) -> RuntimeFault | None:
    """The fault that an error is for the author of a layer; None where no line of one was running."""
    trace, found = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(LAYERS):
            found = trace
        trace = trace.tb_next
    if found is None:
        return None
    file, line = found.tb_frame.f_code.co_filename, found.tb_lineno
    first = next((text.strip() for text in str(error).splitlines() if text.strip()), "")
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    text = linecache.getline(file, line).strip()
    return RuntimeFault(f"{PurePosixPath(file).name}:{line} fails: {said}", f"The line is `{text}`." if text else "")
