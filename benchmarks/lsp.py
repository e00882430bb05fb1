"""What an editor waits for on two specs of 500 lines: median and largest time of each answer; the target is 50 ms.

One has many blocks, models and recipes, the other one body with three layers a line.

    python benchmarks/lsp.py [--rounds N] [--record]

A client in a process of its own asks `dlspec lsp`, so that encoding, pipes and decoding count. Before each question
the text is edited in its middle, as a keystroke does: nothing that was read of the older text serves the answer. Then
it is asked again of the text at rest, as a pointer does that moves.
Findings are timed from the edit to their arrival, less the pause in which the server waits for more typing. Where the
system tells it, the server's own processor time is given too, which other processes on the machine disturb less.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from record import machine, others_share, record, spread, told, versions

from dlspec.editor.desk import PAUSE

TARGET = 0.050
LINES = 500
SPEC = Path(__file__).resolve().parents[1] / "specs" / "chargpt.dlspec"
URI = "file:///long.dlspec"


def long_spec() -> str:
    """A file of blocks, models and recipes, one after the other: the parts of a shipped spec under many names."""
    text = SPEC.read_text(encoding="utf-8")
    head, parts = text[: text.index("block Mlp")], text[text.index("block Mlp") : text.index("export ")]
    out, number = head, 0
    while out.count("\n") + parts.count("\n") <= LINES:
        out += parts.replace("Mlp", f"Mlp{number}").replace("CharGPT", f"Model{number}")
        number += 1
    return out


def long_body() -> str:
    """A model of one body, with three layers a line."""
    lines = [f"  up{n}: Linear(4 * dim) -> gelu -> down{n}: Linear(dim)\n" for n in range(LINES - 5)]
    head = "dlspec 1\ndim = 8\nmodel Net: (x: [B, dim]) -> (y: [B, dim]) {\n"
    return "".join([head, *lines, "  Linear(dim) as y\n}\n"])


@dataclass(frozen=True)
class Spec:
    """A text, and behind which words of it is asked: a layer's name, a call's opening bracket, a constant, a label."""

    text: str
    layer: str
    call: str
    constant: str
    label: str


SPECS = {
    "many items": Spec(long_spec(), "fc: Lin", "SelfAttention(", "Embedding(voc", "  fc"),
    "one body": Spec(long_body(), ": Lin", ": Linear(", ": Linear(4 * di", "  up"),
}


class Session:
    """One document in a client; `edit` changes a number in the middle of it."""

    def __init__(self, client: LanguageClient, spec: Spec) -> None:
        self.client, self.spec, self.text, self.version = client, spec, spec.text, 1
        self.document = types.TextDocumentIdentifier(URI)
        self.found: dict[int | None, asyncio.Future[None]] = {}

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(told: types.PublishDiagnosticsParams) -> None:
            waiting = self.found.pop(told.version, None)
            if waiting is not None:
                waiting.set_result(None)

    def open(self) -> asyncio.Future[None]:
        item = types.TextDocumentItem(URI, "dlspec", self.version, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return self.findings()

    def edit(self) -> None:
        self.version += 1
        middle = self.text.index(" * dim)", len(self.text) // 2)
        self.text = f"{self.text[: middle - 1]}{2 + self.version % 7}{self.text[middle:]}"
        whole = types.TextDocumentContentChangeWholeDocument(self.text)
        document = types.VersionedTextDocumentIdentifier(self.version, URI)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    def findings(self) -> asyncio.Future[None]:
        self.found[self.version] = asyncio.get_running_loop().create_future()
        return self.found[self.version]

    def place(self, word: str) -> types.Position:
        """Behind a word in the second half of the text."""
        end = self.text.index(word, len(self.text) // 2) + len(word)
        line = self.text.count("\n", 0, end)
        return types.Position(line, end - self.text.rindex("\n", 0, end) - 1)


Question = Callable[[Session], Awaitable[object]]

QUESTIONS: dict[str, Question] = {
    "hover": lambda s: s.client.text_document_hover_async(types.HoverParams(s.document, s.place(s.spec.layer))),
    "completion": lambda s: s.client.text_document_completion_async(
        types.CompletionParams(s.document, s.place(s.spec.layer))
    ),
    "completion of options": lambda s: s.client.text_document_completion_async(
        types.CompletionParams(s.document, s.place(s.spec.call))
    ),
    "definition": lambda s: s.client.text_document_definition_async(
        types.DefinitionParams(s.document, s.place(s.spec.constant))
    ),
    "outline": lambda s: s.client.text_document_document_symbol_async(types.DocumentSymbolParams(s.document)),
    "formatting": lambda s: s.client.text_document_formatting_async(
        types.DocumentFormattingParams(s.document, types.FormattingOptions(2, True))
    ),
    "rename": lambda s: s.client.text_document_rename_async(
        types.RenameParams(s.document, s.place(s.spec.constant), "other")
    ),
    "rename of a label": lambda s: s.client.text_document_rename_async(
        types.RenameParams(s.document, s.place(s.spec.label), "other")
    ),
}


def processor_seconds(pid: int) -> float:
    """The processor time of another process (Linux counts it by a clock of its own; elsewhere 0)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


async def measure(spec: Spec, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each question, round by round: passed, and of the server's processor time."""
    client = LanguageClient("benchmark", "1")
    await client.start_io(sys.executable, "-m", "dlspec", "lsp")
    await client.initialize_async(types.InitializeParams(capabilities=types.ClientCapabilities()))
    client.initialized(types.InitializedParams())
    session = Session(client, spec)
    await session.open()
    names = [*QUESTIONS, *(f"{name}, at rest" for name in QUESTIONS), "findings"]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    server = client._server.pid if client._server is not None else 0
    for number in range(rounds + 1):
        for name, ask in QUESTIONS.items():
            for asked in (name, f"{name}, at rest"):
                start, used = time.perf_counter(), processor_seconds(server)
                if asked == name:
                    session.edit()
                answer = await ask(session)
                passed = time.perf_counter() - start
                assert answer is not None, name
                if number:  # the first round loads what later ones have
                    taken[asked].append((passed, processor_seconds(server) - used))
        start, used = time.perf_counter(), processor_seconds(server)
        session.edit()
        await session.findings()
        taken["findings"].append((time.perf_counter() - start - PAUSE, processor_seconds(server) - used))
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="how often each question is asked")
    parser.add_argument("--record", action="store_true", help="append to results/lsp.json")
    options = parser.parse_args()
    for name, spec in SPECS.items():
        with others_share() as share:
            taken = asyncio.run(measure(spec, options.rounds))
        found = {asked: spread([1000 * passed for passed, _ in times]) for asked, times in taken.items()}
        processor = {asked: spread([1000 * used for _, used in times]) for asked, times in taken.items()}
        lines = spec.text.count("\n")
        print(f"{name}: {lines} lines, {options.rounds} rounds, milliseconds from an edit to the answer")
        for question, figures in found.items():
            print(f"{question:<32} {told(figures, 1):<28} of a processor {told(processor[question], 1)}")
        print(f"target {1000 * TARGET:.0f} ms; other processes had {share.get('others', 0):.0%} of the cores")
        if options.record:
            whole = {
                "machine": machine(),
                "versions": versions("pygls"),
                "spec": name,
                "lines": lines,
                **share,
                "milliseconds": found,
                "processor": processor,
            }
            print(f"recorded in {record('lsp', whole).name}")


if __name__ == "__main__":
    main()
