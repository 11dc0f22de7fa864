"""A check as text, as JSON, and as one page with its pictures inside."""

from __future__ import annotations

import io
import json
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from mmmc.data.check.findings import Check, Finding
from mmmc.files import write_text
from mmmc.page import Picture, page

_SHOWN = 5
_PICTURES = 6
_SIDE = 220
_STYLE = """
code { color: #555; } .error { border-left: 4px solid #d55e00; } .warning { border-left: 4px solid #e69f00; }
section { padding-left: .8rem; margin: 1.4rem 0; } h2 { font-size: 1.05rem; margin: 0; } p, ul { margin: .3rem 0; }
li { font-size: 13px; } figcaption { font-size: 12px; max-width: 220px; }
"""


def text(found: Check) -> str:
    """Each kind with how often, a few of its places, its effect, and what to do."""
    lines = [f"{found.path} is {found.seen}: {_counts(found)}."]
    for code, findings in found.by_code().items():
        kind = findings[0].kind
        lines += ["", f"{kind.level} {code}, {len(findings)} × {kind.title}"]
        lines += [f"    {_where(finding)}" for finding in findings[:_SHOWN]]
        lines += [f"    … {len(findings)} in all"] * (len(findings) > _SHOWN)
        lines += [f"  Effect: {kind.effect}", f"  To do: {kind.remedy}"]
    return "\n".join([*lines, "", _sum(found)])


def write_check(found: Check, out: Path) -> tuple[Path, Path]:
    """Write `check.json` and `check.html`, each whole or not at all.

    Returns:
        Both files.

    Raises:
        InputError: a file cannot be written.
    """
    data, page = out / "check.json", out / "check.html"
    write_text(data, json.dumps(to_dict(found), indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    write_text(page, _page(found))
    return data, page


def to_dict(found: Check) -> dict[str, object]:
    """Everything that was found, for programs."""
    return {
        "set": str(found.path),
        "seen": found.seen,
        "parts": {part: {"pictures": count, "objects": objects} for part, (count, objects) in found.counts.items()},
        "errors": found.errors,
        "warnings": len(found.findings) - found.errors,
        "findings": [
            {
                "code": finding.code,
                "level": finding.kind.level,
                "part": finding.part,
                "file": str(finding.file),
                "place": finding.place,
                "value": finding.value,
                "effect": finding.kind.effect,
                "remedy": finding.kind.remedy,
            }
            for finding in found.findings
        ],
    }


def _counts(found: Check) -> str:
    return ", ".join(f"{part} {count} pictures, {objects} objects" for part, (count, objects) in found.counts.items())


def _sum(found: Check) -> str:
    warnings = len(found.findings) - found.errors
    return f"{found.errors} error{'s' * (found.errors != 1)}, {warnings} warning{'s' * (warnings != 1)}."


def _where(finding: Finding) -> str:
    place = f", {finding.place}" if finding.place else ""
    return f"{finding.part}: {finding.file}{place}: {finding.value}"


def _page(found: Check) -> str:
    sections = []
    for code, findings in found.by_code().items():
        kind = findings[0].kind
        pictures = "".join(_figure(finding) for finding in findings[:_PICTURES] if finding.picture is not None)
        rows = "\n".join(f"<li>{escape(_where(finding))}</li>" for finding in findings)
        sections.append(
            f'<section class="{kind.level}"><h2>{kind.level}: {escape(kind.title)}, {len(findings)} × '
            f"<code>{code}</code></h2>\n<p><b>Effect.</b> {escape(kind.effect)} "
            f"<b>To do.</b> {escape(kind.remedy)}</p>\n"
            f"{pictures}<details{' open' * (len(findings) <= _SHOWN)}><summary>places</summary>"
            f"<ul>{rows}</ul></details></section>"
        )
    body = "\n".join([f"<p>{escape(found.seen)}: {_counts(found)}. {_sum(found)}</p>", *sections])
    return page(f"Check of {found.path}", body, _STYLE)


def _figure(finding: Finding) -> str:
    """A small copy of the picture with the box in it; nothing where the picture cannot be drawn."""
    if finding.picture is None:
        return ""
    try:
        with Image.open(finding.picture) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except Exception:  # damage makes Pillow raise almost anything; the fault is named in words
        return ""
    scale = min(_SIDE / max(upright.size), 1.0)
    small = upright.resize([max(1, round(side * scale)) for side in upright.size])
    if finding.box is not None:
        x, y, width, height = (value * scale for value in finding.box)
        corners = (min(x, x + width), min(y, y + height), max(x, x + width), max(y, y + height))
        # A box far outside is named in words.
        if max(map(abs, corners)) < 10 * _SIDE:
            ImageDraw.Draw(small).rectangle(corners, outline=(213, 94, 0), width=2)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80)
    name = finding.picture.name
    caption = finding.value if name in finding.value else f"{name}: {finding.value}"
    return Picture(caption[:160], buffer.getvalue(), "jpeg").html()
