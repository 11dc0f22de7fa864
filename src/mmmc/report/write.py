"""A diagnosis as files: JSON for programs, and a page with its pictures inside."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from mmmc.files import write_atomically
from mmmc.misalignment import Diagnosis
from mmmc.misalignment.words import CAUTION
from mmmc.report.run import Drawn
from mmmc.report.tables import Cell, Share, Table, headline, tables, words

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0; } caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid #8a8a8a; }
tbody th { font-weight: normal; } .note { color: #555; margin: .2rem 0; } .wide { overflow-x: auto; margin: 1.6rem 0; }
.loss { white-space: pre-line; } figure { display: inline-block; margin: .5rem; vertical-align: top; max-width: 24rem; }
figure img { max-width: 100%; } figcaption { font-size: 13px; color: #555; }
"""


def write_report(found: Diagnosis, out: Path | str, title: str, pictures: Sequence[Drawn] = ()) -> tuple[Path, Path]:
    """Write `diagnosis.json` and `diagnosis.html`, each whole or not at all.

    Args:
        found: what is to be told.
        out: the folder; made if it is not there.
        title: whose diagnosis it is.
        pictures: objects with the worst misalignment.

    Returns:
        Both files.

    Raises:
        InputError: a file cannot be written.
    """
    data, page = Path(out) / "diagnosis.json", Path(out) / "diagnosis.html"
    text = json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    html = _page(found, title, pictures)
    write_atomically(data, lambda file: file.write_text(text, encoding="utf-8"))
    write_atomically(page, lambda file: file.write_text(html, encoding="utf-8"))
    return data, page


def _page(found: Diagnosis, title: str, pictures: Sequence[Drawn]) -> str:
    absent = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in found.absent)
    drawn = "".join(_figure(picture) for picture in pictures)
    parts = [
        f"<h1>Diagnosis of {escape(title)}</h1>\n<p>{escape(headline(found))}.</p>",
        "<h2>The largest losses</h2>",
        *(f'<p class="loss">{escape(text)}</p>' for text in words(found)),
        f'<p class="note">{escape(CAUTION)}</p>',
        "<h2>Numbers</h2>",
        *map(_table, tables(found)),
        *(["<h2>The objects that lose the most overlap</h2>", drawn] if drawn else []),
        *(["<h2>What is not here</h2>", absent] if absent else []),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Diagnosis of {escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>{"".join(map(_cell, row[1:]))}</tr>' for row in table.rows
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>{notes}</div>"
    )


def _cell(cell: Cell) -> str:
    if not isinstance(cell, Share) or cell.value != cell.value:
        return f"<td>{escape(str(cell))}</td>"
    bar = f"linear-gradient(90deg, #b9d7ee {100 * cell.value:.1f}%, transparent 0)"
    return f'<td style="background: {bar}">{escape(str(cell))}</td>'


def _figure(drawn: Drawn) -> str:
    caption = escape(drawn.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{_png(drawn.figure)}">'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
