"""A diagnosis as files: JSON for programs, and a page with its pictures inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from mmmc.files import write_text
from mmmc.misalignment import Diagnosis
from mmmc.misalignment.words import CAUTION
from mmmc.page import page
from mmmc.report import html
from mmmc.report.run import Drawn
from mmmc.report.tables import headline, tables, words

_STYLE = """
.loss { white-space: pre-line; } figure { max-width: 24rem; }
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
    data, told = Path(out) / "diagnosis.json", Path(out) / "diagnosis.html"
    text = json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    document = _page(found, title, pictures)
    write_text(data, text)
    write_text(told, document)
    return data, told


def _page(found: Diagnosis, title: str, pictures: Sequence[Drawn]) -> str:
    absent = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in found.absent)
    shown = "".join(html.drawn(picture.caption, picture.figure) for picture in pictures)
    parts = [
        f"<p>{escape(headline(found))}.</p>",
        "<h2>The largest losses</h2>",
        *(f'<p class="loss">{escape(text)}</p>' for text in words(found)),
        f'<p class="note">{escape(CAUTION)}</p>',
        "<h2>Numbers</h2>",
        *map(html.table, tables(found)),
        *(["<h2>The objects that lose the most overlap</h2>", shown] if shown else []),
        *(["<h2>What is not here</h2>", absent] if absent else []),
    ]
    return page(f"Diagnosis of {title}", "\n".join(parts), _STYLE)
