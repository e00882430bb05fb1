"""What an editor waits for on a spec of 500 lines: median and largest time of each answer; the target is 50 ms.

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


class Session:
    """One document in a client; `edit` changes a number in the middle of it."""

    def __init__(self, client: LanguageClient, text: str) -> None:
        self.client, self.text, self.version = client, text, 1
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
    "hover": lambda s: s.client.text_document_hover_async(types.HoverParams(s.document, s.place("fc: Lin"))),
    "completion": lambda s: s.client.text_document_completion_async(
        types.CompletionParams(s.document, s.place("fc: Lin"))
    ),
    "completion of options": lambda s: s.client.text_document_completion_async(
        types.CompletionParams(s.document, s.place("SelfAttention("))
    ),
    "definition": lambda s: s.client.text_document_definition_async(
        types.DefinitionParams(s.document, s.place("Embedding(voc"))
    ),
    "outline": lambda s: s.client.text_document_document_symbol_async(types.DocumentSymbolParams(s.document)),
}


def processor_seconds(pid: int) -> float:
    """The processor time of another process (Linux counts it by a clock of its own; elsewhere 0)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


async def measure(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each question, round by round: passed, and of the server's processor time."""
    client = LanguageClient("benchmark", "1")
    await client.start_io(sys.executable, "-m", "dlspec", "lsp")
    await client.initialize_async(types.InitializeParams(capabilities=types.ClientCapabilities()))
    client.initialized(types.InitializedParams())
    session = Session(client, long_spec())
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
                assert answer, name
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
    with others_share() as share:
        taken = asyncio.run(measure(options.rounds))
    found = {name: spread([1000 * passed for passed, _ in times]) for name, times in taken.items()}
    processor = {name: spread([1000 * used for _, used in times]) for name, times in taken.items()}
    lines = long_spec().count("\n")
    print(f"a spec of {lines} lines, {options.rounds} rounds, milliseconds from an edit to the answer")
    for name, figures in found.items():
        print(f"{name:<32} {told(figures, 1):<28} of a processor {told(processor[name], 1)}")
    print(f"target {1000 * TARGET:.0f} ms; other processes had {share.get('others', 0):.0%} of the cores")
    if options.record:
        whole = {
            "machine": machine(),
            "versions": versions("pygls"),
            "lines": lines,
            **share,
            "milliseconds": found,
            "processor": processor,
        }
        print(f"recorded in {record('lsp', whole).name}")


if __name__ == "__main__":
    main()
