"""Tables and figures of a page as HTML."""

from __future__ import annotations

import io
from html import escape
from typing import Literal

from matplotlib.figure import Figure

from mmmc.page import Picture
from mmmc.report.tables import Cell, Share, Table


def table(given: Table) -> str:
    """A table under its title, its notes below."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in given.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>{"".join(map(_cell, row[1:]))}</tr>' for row in given.rows
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in given.notes)
    return (
        f'<div class="wide"><table><caption>{escape(given.title)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>{notes}</div>"
    )


def _cell(cell: Cell) -> str:
    if not isinstance(cell, Share) or cell.value != cell.value:
        return f"<td>{escape(str(cell))}</td>"
    bar = f"linear-gradient(90deg, #b9d7ee {100 * cell.value:.1f}%, transparent 0)"
    return f'<td style="background: {bar}">{escape(str(cell))}</td>'


def drawn(caption: str, figure: Figure, *, photos: bool = False) -> str:
    """A figure with its caption; one of `photos` is smaller as JPEG."""
    kind: Literal["png", "jpeg"] = "jpeg" if photos else "png"
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=100)
    return Picture(caption, buffer.getvalue(), kind).html()
