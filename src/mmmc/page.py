"""One HTML page that needs nothing else: its style and its pictures are inside, and nothing is fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 68rem; margin: 2rem auto;
  padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; }
table { border-collapse: collapse; margin: .5rem 0; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; } a { color: #0072b2; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid #8a8a8a; }
tbody th { font-weight: normal; } .note { color: #555; margin: .2rem 0; } .wide { overflow-x: auto; margin: 1.6rem 0; }
figure { display: inline-block; margin: .5rem; vertical-align: top; max-width: 100%; }
figure img { max-width: 100%; height: auto; } figcaption { font-size: 13px; color: #555; }
@media print { body { margin: 0; max-width: none; font-size: 10pt; } .wide { overflow: visible; }
  figure, tr { break-inside: avoid; } h2, h3, h2 + p, h2 + p + h3, h3 + p { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        caption: below it, and for those who do not see it.
        data: the file's bytes.
        kind: its format.
    """

    caption: str
    data: bytes
    kind: Literal["png", "jpeg"]

    def html(self) -> str:
        """The picture with its caption."""
        caption = escape(self.caption)
        source = f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"
        return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>\n'


def page(title: str, body: str, style: str = "") -> str:
    """A whole document.

    Args:
        title: plain text.
        body: HTML below the heading.
        style: CSS of this page alone.
    """
    said = escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{said}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<h1>{said}</h1>\n{body}\n"
        "</body>\n</html>\n"
    )


def chapters(parts: Sequence[tuple[str, Iterable[str]]]) -> str:
    """Chapters under their headings, and a list that leads to them; a chapter without anything is left out.

    Args:
        parts: plain headings, and pieces of HTML.
    """
    whole = [(title, "\n".join(pieces)) for title, pieces in parts]
    kept = [(title, _anchor(title), text) for title, text in whole if text]
    links = " · ".join(f'<a href="#{anchor}">{escape(title)}</a>' for title, anchor, _ in kept)
    texts = [f'<h2 id="{anchor}">{escape(title)}</h2>\n{text}' for title, anchor, text in kept]
    return "\n".join([f"<nav>{links}</nav>", *texts])


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
