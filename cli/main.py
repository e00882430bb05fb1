"""`dlspec VERB ...`: finds the verb, runs it, and turns whatever stops it into a message and an exit code.

0 done, 1 the spec or the data is wrong, 2 wrong use of the command, 3 diverged, 4 disk full, 5 a proof failed,
70 a bug of ours, 75 stopped with everything saved, 130 stopped with nothing to save.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..compiler.depth import room_for_depth
from ..grammar.diagnostics import SpecError
from ..runtime.errors import RuntimeFault, is_disk_full
from .console import Console
from .system_faults import system_fault

# In the order in which one meets them. The text is all that is known of a verb before it runs.
VERBS = {
    "new": "write a commented spec to start from",
    "check": "find all errors of specs at once",
    "fmt": "lay specs out in the one layout",
    "show": "the model as a table, a picture, or any stage of the compiler",
    "plan": "parameters, FLOPs, memory, the largest batch that fits",
    "emit": "write readable PyTorch that needs nothing of dlspec",
    "train": "train a model into a new run directory",
    "resume": "go on exactly where a run stopped",
    "verify-resume": "prove bit by bit that a restart changes nothing",
    "bench": "time of a step, and of each kernel beside PyTorch's own",
    "evaluate": "loss and metrics of a run over a whole split",
    "generate": "text from a language model",
    "predict": "outputs for examples out of a file",
    "export": "write ONNX and TorchScript, with proof",
    "runs": "list runs and how far they are",
    "diff": "what changed in meaning between two specs or runs",
    "explain": "what a code such as shape-mismatch or a word such as Linear means",
    "lsp": "answer an editor: findings, completion, documentation, rename",
}

SHORT = frozenset({"new", "check", "fmt", "show", "plan", "emit", "runs", "diff", "explain"})
USAGE = 2
BUG = 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own where none is given) and return its exit code."""
    # Threads that wait for work sleep instead of spinning: beside another busy process, spinning made training three
    # times slower and more (2 CPU cores, 2026-11-21). PyTorch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    collecting = gc.isenabled()
    gc.disable()  # a short command makes little garbage, and looking for it takes a tenth of its time
    try:
        return _main(words, whole_process=argv is None)
    finally:
        if argv is None:
            gc.freeze()  # the process ends: nothing is looked through once more
        elif collecting:
            gc.enable()


def _main(words: list[str], *, whole_process: bool) -> int:
    console = Console.of_process(json="--json" in words, quiet="--quiet" in words)
    try:
        if whole_process and words and words[0] not in SHORT:
            from .interrupts import end_while_loading

            end_while_loading(console)
        code = _run(words, console)
    except SpecError as error:
        console.spec_error(error)
        code = 1
    except RuntimeFault as fault:
        console.fault(fault)
        code = fault.exit_code
    except (Exception, KeyboardInterrupt) as error:
        code = _told(error, console)
    return console.close(code)


def _run(words: list[str], console: Console) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        overview = console if words else Console(console.err, console.err)
        overview.print(_overview())
        return 0 if words else USAGE
    if words[0] == "--version":
        console.print(f"dlspec {__version__}")
        return 0
    from .command_line import load_verb, parse_words

    verb = load_verb(words[0], VERBS)
    if words[0] not in SHORT:
        gc.enable()
    options = parse_words(words[0], VERBS[words[0]], verb, words[1:], console)
    if options is None:
        return 0
    with room_for_depth():  # whatever a verb does with a model goes down it: counting, printing, an answer to an editor
        return verb.run(options, console)


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {name:<{width}}  {text}" for name, text in VERBS.items()]
    return "\n".join(
        [
            "dlspec: one .dlspec file, checked, emitted as PyTorch, trained, exported.",
            "",
            *lines,
            "",
            "`dlspec VERB --help` says what a verb takes. `dlspec --version`",
        ]
    )


def _told(error: BaseException, console: Console) -> int:
    """What the system refused is the user's to mend; whatever else is a bug of ours."""
    from .interrupts import INTERRUPTED, is_interrupt, stopped

    if is_interrupt(error):
        console.fault(stopped())
        return INTERRUPTED
    if is_disk_full(error):
        console.fault(RuntimeFault(f"the disk is full: {error}", "Free some space and try again.", exit_code=4))
        return 4
    fault = system_fault(error)
    if fault is not None:
        console.fault(fault)
        return fault.exit_code
    from .layer_faults import layer_fault

    fault = layer_fault(error)
    if fault is not None and os.environ.get("DLSPEC_TRACE") != "1":
        console.fault(fault)
        return fault.exit_code
    from .bug_report import write_report

    if os.environ.get("DLSPEC_TRACE") == "1":
        import traceback

        console.err.write("".join(traceback.format_exception(error)))
    file = write_report(error)
    where = f"a report is in {file}" if file else "no report could be written"
    trace = "DLSPEC_TRACE=1 shows the trace."
    console.fault(RuntimeFault(f"this is a bug of dlspec ({type(error).__name__}); {where}", trace, exit_code=BUG))
    return BUG
