"""A picture of a model, as SVG: graph -> sketch -> folded figure -> page with coordinates -> text."""

from __future__ import annotations

from ...depth import room_for_depth
from ...ir.graph import Graph
from .draw import draw
from .page import Page, page
from .picture import figure

__all__ = ["Page", "draw", "figure", "page", "svg_text"]


@room_for_depth()
def svg_text(graph: Graph) -> str:
    """The picture of a model as the text of an SVG file."""
    return draw(page(figure(graph)), graph.model.name)
