"""`dlspec show --svg`: the geometry of the pictures, and that they show all there is."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from cli_cases import GOOD, Write, json_of, write

from dlspec.cli.main import main
from dlspec.compiler.backends.svg import figure, page, svg_text
from dlspec.compiler.backends.svg.figure import Flow, Item
from dlspec.compiler.backends.svg.measure import Line, box_lines, count_text, frame_head
from dlspec.compiler.backends.svg.page import Page
from dlspec.compiler.backends.svg.placed import Box, Edge
from dlspec.compiler.ir.graph import Graph, Unit
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted([*(ROOT / "specs").rglob("*.dlspec"), *(ROOT / "tests" / "specs").glob("*.dlspec")])
NEAR = 0.6

SHAPES = """dlspec 1
# What is seldom together: values used late, outputs side by side, blocks in blocks, turns, a very long line.
dim = 16

block Pair: [B, T, D] -> (left: [B, T, D], right: [B, T, D / 2]) {
  a: Linear(D) as left
  Linear(D / 2) as right
}

block Both: (x: [B, T, D], memory: [B, T, D], other: [B, T, D]) -> [B, T, D] {
  residual { (a: Linear(D) -> tanh) * memory }
  inner: repeat(2) { Linear(D) + memory -> Linear(D) * other }
  identity + x * memory
}

block Inside(width) { up: Linear(width) -> relu -> down: Linear(dim) }

model Shapes: (x: [B, T <= 8, dim], z: [B, T, dim]) -> (y: [B, T, dim], w: [B, T, 8]) {
  early = z -> first: Linear(dim) -> relu
  x -> Pair as l, r
  r -> wide: Linear(dim) as w2
  l -> Linear(dim) -> Linear(dim) -> Linear(dim) -> Linear(dim)
  turns: repeat(6, index = i) { Linear(dim) -> relu if i % 2 == 0 else Inside(32) }
  Inside(64) -> Inside(64) -> Inside(64)
  identity * identity + w2
  Both(memory = early, other = l)
  (gate: Linear(dim) -> sigmoid) * identity + early * l as y
  Linear(8) as w
}
"""

COMBINATORS = """dlspec 1
dim = 16
cap(x, limit) = limit * tanh(x / limit)

block Ffn(hidden) { up: Linear(hidden) -> relu -> down: Linear(dim) }

model Combinators: (x: [B, T <= 8, dim]) -> (y: [B, T, dim], z: [B, T, dim]) {
  residual(pre = LayerNorm, gate = Linear(dim) -> sigmoid, drop = 0.1) { hw: Linear(dim) -> relu }
  residual(post = LayerNorm, scale = 2, gain = 0, layer_scale = 0.1, drop_path = 0.2) { mlp: Ffn(32) }
  share(3) { same: Linear(dim) -> relu }
  checkpoint { far: Linear(dim) + x -> gelu }
  experts(4, top = 2) { Ffn(32) }
  student: Ffn(16) as s
  momentum_copy(student, 0.999) as t
  s -> [Linear(dim), Linear(dim) -> relu, identity] -> concat(axis = -1) -> Linear(dim)
  dense { Linear(8) } -> Linear(dim) -> max(identity, 0)
  identity + s as w
  w -> early: Linear(dim) as e
  e -> cap(limit = 30) -> early as y2
  y2 * t as y
  Linear(dim) as z
}
"""

STRIP = "\n".join(
    [
        "dlspec 1",
        *(f"block B{i} {{ up: Linear({16 + i}) -> relu -> down: Linear(8) }}" for i in range(12)),
        "model Strip: (x: [B, 8]) -> (y: [B, 8]) {",
        *(f"  residual(pre = LayerNorm) {{ b{i}: B{i} }}" if i % 3 else f"  b{i}: B{i}" for i in range(12)),
        "}\n",
    ]
)


def graphs_of(text: str, name: str = "net.dlspec") -> dict[str, Graph]:
    analysis = analyse(Source(name, text))
    assert not analysis.failed, [d.message for d in analysis.diagnostics]
    return analysis.graphs


@cache
def drawn() -> dict[str, Graph]:
    """Every model of every spec that ships, and one that is hard to draw."""
    found = {f"Shapes/{name}": graph for name, graph in graphs_of(SHAPES).items()}
    found |= {f"Combinators/{name}": graph for name, graph in graphs_of(COMBINATORS).items()}
    found |= {f"Strip/{name}": graph for name, graph in graphs_of(STRIP).items()}
    for path in SHIPPED:
        analysis = analyse(Source(path.name, path.read_text(encoding="utf-8")))
        found |= {f"{path.stem}/{name}": graph for name, graph in analysis.graphs.items()}
    return found


def pages() -> Iterator[tuple[str, Page]]:
    for name, graph in drawn().items():
        yield name, page(figure(graph))


def test_there_is_something_to_draw() -> None:
    assert {"gpt/GPT", "digits/MLP", "wide/Net", "Shapes/Shapes"} <= set(drawn())


def test_the_text_is_xml_of_its_own() -> None:
    for graph in drawn().values():
        text = svg_text(graph)
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "href" not in text and "<script" not in text and "url(" not in text, "it asks for nothing elsewhere"
        assert max(map(len, text.splitlines())) < 2_000


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x
        and inner.right <= outer.right + NEAR
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom + NEAR
    )


def apart(a: Box, b: Box) -> bool:
    return a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y


def test_boxes_do_not_overlap_and_frames_hold_what_is_in_them() -> None:
    for name, shown in pages():
        for a, b in itertools.combinations(shown.boxes, 2):
            assert apart(a, b) or inside(a, b) or inside(b, a), f"{name}: {a} and {b}"
            if not apart(a, b):
                outer = a if inside(b, a) else b
                assert outer.item.inside is not None, f"{name}: {outer} is no frame"
        for box in shown.boxes:
            assert box.x >= 0 and box.y >= 0 and box.right <= shown.width and box.bottom <= shown.height, name


def lines_with_places(box: Box) -> list[tuple[Line, float]]:
    """Lines of text, and the width that there is for each."""
    if box.item.inside is None:
        return [] if box.item.kind == "sum" else [(line, box.width - 10) for line in box_lines(box.item)]
    left, right = frame_head(box.item)
    return [(left, box.width - right.width - 20), (right, box.width - left.width - 20)]


def test_text_fits_its_box() -> None:
    for name, shown in pages():
        for box in shown.boxes:
            for line, room in lines_with_places(box):
                assert line.width <= room, f"{name}: {line}"
            if box.item.inside is None and box.item.kind != "sum":
                assert sum(line.height for line in box_lines(box.item)) <= box.height, f"{name}: {box}"


def test_labels_stand_free() -> None:
    for name, shown in pages():
        areas = [Box(Item("plain"), t.x, t.y - t.piece.size, t.piece.width, t.piece.size) for t in shown.labels]
        for area in areas:
            assert area.right <= shown.width, name
            for box in shown.boxes:
                assert box.item.inside is not None or apart(area, box), f"{name}: {area} and {box}"
        for a, b in itertools.combinations(areas, 2):
            assert apart(a, b), f"{name}: {a} and {b}"
        for edge in shown.edges:
            for area in areas:
                assert not any(crosses(p, q, area) for p, q in itertools.pairwise(edge.points)), (
                    f"{name}: {edge} {area}"
                )


def crosses(p: tuple[float, float], q: tuple[float, float], box: Box) -> bool:
    """Whether a piece of a wire, which is upright or level, goes through the inside of a box."""
    x, far_x = sorted((p[0], q[0]))
    y, far_y = sorted((p[1], q[1]))
    across = far_x > box.x + NEAR and x < box.right - NEAR
    return across and far_y > box.y + NEAR and y < box.bottom - NEAR


def ends_at(item: Item, point: tuple[float, float], boxes: dict[Item, Box]) -> bool:
    box = boxes.get(item)
    if box is None:
        return item.is_crossing  # it goes on outside of the frame
    in_x = box.x - NEAR <= point[0] <= box.right + NEAR
    in_y = box.y - NEAR <= point[1] <= box.bottom + NEAR
    on = (abs(point[0] - box.x), abs(point[0] - box.right), abs(point[1] - box.y), abs(point[1] - box.bottom))
    return in_x and in_y and (item.inside is not None or min(on) <= NEAR)


def test_edges_end_at_boxes_and_go_through_none() -> None:
    for name, shown in pages():
        boxes = {box.item: box for box in shown.boxes}
        assert len(boxes) == len(shown.boxes), f"{name}: an item is drawn twice"
        for edge in shown.edges:
            assert ends_at(edge.source, edge.points[0], boxes), f"{name}: {edge}"
            assert ends_at(edge.target, edge.points[-1], boxes), f"{name}: {edge}"
            for p, q in itertools.pairwise(edge.points):
                assert abs(p[0] - q[0]) < NEAR or abs(p[1] - q[1]) < NEAR, f"{name}: {edge} is aslant"
                for box in shown.boxes:
                    if box.item.inside is None:
                        assert not crosses(p, q, box), f"{name}: {edge} through {box}"


def test_wires_of_different_values_do_not_lie_on_each_other() -> None:
    for name, shown in pages():
        level = [
            (min(p[0], q[0]), max(p[0], q[0]), p[1], edge)
            for edge in shown.edges
            for p, q in itertools.pairwise(edge.points)
            if abs(p[1] - q[1]) < NEAR and abs(p[0] - q[0]) > NEAR
        ]
        for (a, b, y, one), (c, d, z, other) in itertools.combinations(level, 2):
            if one.source is not other.source and abs(y - z) < NEAR and not goes_on(one, other):
                assert min(b, d) - max(a, c) < NEAR, f"{name}: {one} and {other}"


def goes_on(one: Edge, other: Edge) -> bool:
    """Whether a wire is the other's continuation inside a frame, or both end at the same place."""
    return one.source.is_crossing or other.source.is_crossing or one.target is other.target


def every(flow: Flow) -> Iterator[Item]:
    for item in flow.items:
        yield item
        if item.inside is not None:
            yield from every(item.inside)


def module_names(unit: Unit) -> Iterator[str]:
    for module in unit.modules:
        yield module.name
        for inner in [getattr(module, "unit", None), *getattr(module, "units", ())]:
            if inner is not None:
                yield from module_names(inner)


def test_every_module_appears() -> None:
    for name, graph in drawn().items():
        picture = figure(graph)
        items = [*every(picture.flow), *(i for b in picture.blocks if b.inside is not None for i in every(b.inside))]
        shown = {part for item in items for path in item.paths for part in path.split(".")}
        assert set(module_names(graph.model)) <= shown, name
        assert {value.name for value in graph.model.inputs} <= {item.title for item in picture.flow.inputs}
        assert list(graph.outputs) == [item.title for item in picture.flow.outputs]


def test_residuals_repeats_and_shapes_of_the_gpt() -> None:
    picture = figure(drawn()["gpt/GPT"])
    (blocks,) = (item for item in picture.flow.items if item.title == "blocks")
    assert blocks.count == 12 and blocks.inside is not None
    words = [item.title for item in blocks.inside.items if item.title]
    assert words == ["LayerNorm", "SelfAttention", "Dropout", "+", "LayerNorm", "Mlp(4 * dim)", "Dropout", "+"]
    kept = [w for w in blocks.inside.wires if w.target.kind == "sum" and w.slot == 1]
    assert [w.source[0].kind for w in kept] == ["frame", "sum"], "around the branch, from what came into it"
    assert "[B, T, vocab]" in picture.flow.shapes.values()
    assert picture.subtitle == "124,439,808 parameters"
    assert picture.notes == ("vocab = 50_257, context = 1024, dim = 768, heads = 12, drop = 0.1",)


def test_a_block_of_several_places_is_drawn_once() -> None:
    picture = figure(drawn()["Shapes/Shapes"])
    assert [block.title for block in picture.blocks] == ["Inside"]
    boxes = {item.title: item.count for item in every(picture.flow) if item.kind == "block"}
    assert boxes == {"Inside(32)": 1, "Inside(64)": 3}
    (turns,) = (item for item in picture.flow.items if item.title == "turns")
    assert turns.count == 3 and turns.inside is not None
    assert [i.title for i in turns.inside.items if i.title] == ["turns.0, 2, …", "turns.1, 3, …"]


def test_experts_loops_and_copies_have_pictures() -> None:
    picture = figure(drawn()["Combinators/Combinators"])
    items = {item.title: item for item in every(picture.flow)}
    assert items["share"].details == "3 times, one set of weights"
    assert items["router"].details == "top 2 of 4" and items["router"].parameters == 4 * 16
    assert items["experts.0-3"].count == 4
    assert {"checkpoint", "cap", "max", "× 2", "g · h + (1 − g) · x"} <= set(items)
    assert [i.details for i in every(picture.flow) if i.block == "Ffn" and i.details] == ["follows student, 0.999"]


def test_copies_that_differ_are_grouped() -> None:
    picture = figure(drawn()["wide/Net"])
    (blocks,) = (item for item in picture.flow.items if item.title == "blocks")
    assert blocks.inside is not None
    assert [(i.title, i.count) for i in blocks.inside.items if i.title] == [("blocks.0", 1), ("blocks.1-2", 2)]
    (widen,) = (item for item in picture.flow.items if item.title == "widen")
    assert widen.count == 3, "they differ in the width of what comes in, and are written alike"


def test_ten_thousand_layers_stay_readable() -> None:
    """Equal layers are one box with a count."""
    text = GOOD.replace("  Linear(4)\n", "  Linear(8)\n" * 3_000 + "  Linear(4)\n")
    (graph,) = graphs_of(text).values()
    shown = page(figure(graph))
    assert [(box.item.title, box.item.count) for box in shown.boxes] == [
        ("x", 1),
        ("Linear", 3_000),
        ("Linear", 1),
        ("y", 1),
    ]


def test_blocks_in_a_row_are_folded_as_fits_a_page() -> None:
    shown = page(figure(drawn()["Strip/Strip"]))
    assert 1 < shown.width / shown.height < 2
    boxes = {box.item: box for box in shown.boxes}
    folded = [edge for edge in shown.edges if edge.points[-1][1] < edge.points[0][1]]
    assert len({box.x for box in shown.boxes}) > 3 and len(folded) >= 2
    for edge in folded:
        assert boxes[edge.source].right < boxes[edge.target].x, "from the foot of a column to the head of the next"
        assert "port" not in (edge.source.kind, edge.target.kind)
        over = max(i for i, (_, y) in enumerate(edge.points) if y == min(y for _, y in edge.points))
        assert over + 1 in (edge.entry, len(edge.points) - 1), "a head where it comes in from above"
    assert svg_text(drawn()["Strip/Strip"]).count("<polygon") > sum(edge.arrow for edge in shown.edges)
    for box in shown.boxes:
        if box.item.title == "+":
            into = [edge for edge in shown.edges if edge.target is box.item]
            assert len(into) == 2 and len(set(into) & set(folded)) < 2, "its branch is in one piece"


def test_a_figure_that_fits_is_in_one_piece() -> None:
    for name in ("digits/MLP", "lstm/LstmLM", "autoencoder/Autoencoder"):
        shown = page(figure(drawn()[name]))
        assert all(edge.points[0][1] <= edge.points[-1][1] for edge in shown.edges), name


def test_deep_nesting_is_drawn() -> None:
    text = GOOD.replace("  Linear(4)\n", "  " + "a: { " * 200 + "Linear(4)" + " }" * 200 + "\n")
    (graph,) = graphs_of(text).values()
    assert svg_text(graph).count("<rect") == 1 + 2 + 1 + 200


def test_experts_in_experts_are_drawn_in_time() -> None:
    """A walk through all that lies below, or up all that lies around, at each level of them, is over four times the
    work at twice the depth."""

    def work(depth: int) -> int:
        body = f"{'experts(1, top = 1) { ' * depth}Linear(8){' }' * depth}"
        (graph,) = graphs_of(f"dlspec 1\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {{\n  {body}\n}}\n").values()
        count = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            svg_text(graph)
        finally:
            sys.setprofile(None)
        return count

    work(2)  # what is loaded and kept once
    assert work(80) < 3.6 * work(40)


def test_the_same_bytes_each_time() -> None:
    program = "import sys; from dlspec.cli.main import main; sys.exit(main(sys.argv[1:]))"
    texts = set()
    for seed in "123":
        done = subprocess.run(
            [sys.executable, "-c", program, "show", str(ROOT / "specs" / "digits.dlspec"), "--svg", "/dev/stdout"],
            capture_output=True,
            env={"PYTHONHASHSEED": seed},
        )
        texts.add(done.stdout)
    assert len({svg_text(graph) for graph in [drawn()["gpt/GPT"]] for _ in range(2)}) == 1
    assert len(texts) == 1


def test_the_picture_in_the_docs_is_current() -> None:
    assert (ROOT / "docs" / "gpt.svg").read_text(encoding="utf-8") == svg_text(drawn()["gpt/GPT"]), (
        "write it anew: dlspec show specs/gpt.dlspec --svg docs/gpt.svg"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (272, "272"),
        (9_999, "9,999"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_501, "1.00 M"),
        (10**18, "1.00 E"),
        (25 * 10**30, "25.0 Q"),
        (2 * 10**320, "2.00e320"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


def test_show_writes_the_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", write(GOOD), "--svg", "net.svg"]) == 0
    assert capsys.readouterr().out == "net.svg\n"
    (title,) = re.findall(r"^<title>(.*?)</title>$", Path("net.svg").read_text(encoding="utf-8"), re.MULTILINE)[:1]
    assert title == "Net"
    assert main(["show", "net.dlspec", "--svg", "net.svg", "--json"]) == 0
    assert json_of(capsys)["files"] == ["net.svg"]


def test_a_picture_is_no_stage(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", write(GOOD), "--svg", "net.svg", "--stage", "ir"]) == 2
    assert "take one out" in capsys.readouterr().err
    assert not Path("net.svg").exists()


def test_a_place_that_cannot_be_written_is_told(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken.svg").mkdir()
    assert main(["show", write(GOOD), "--svg", "taken.svg"]) != 0
    assert "taken.svg is in the way" in capsys.readouterr().err
    assert main(["show", "net.dlspec", "--svg", "pictures/net.svg"]) == 1
    assert "there is no directory pictures" in capsys.readouterr().err


def test_a_picture_is_not_written_over_a_spec_or_called_what_it_is_not(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(GOOD)
    before = Path(name).read_text(encoding="utf-8")
    for place in (name, "net.png", "net"):
        assert main(["show", name, "--svg", place]) == 2
        assert "write `--svg net.svg`" in capsys.readouterr().err
    assert Path(name).read_text(encoding="utf-8") == before
    assert not Path("net.png").exists()


__all__ = ["write"]  # a fixture
