"""A repaired copy of a set: only what can be repaired in one way."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from mmmc.data.check import check
from mmmc.data.check.findings import Check, Finding
from mmmc.data.check.mend import CUT, MENDED, SIZED, Fix
from mmmc.data.check.plain import in_doubt
from mmmc.data.formats import FORMATS, FormatName, Raw, Source, look
from mmmc.errors import InputError
from mmmc.files import new_folder, write_atomically, write_text

_ROUNDS = 5
"""A repair may uncover a fault that is repaired in the next round; so many follow one another at most."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "AVIF": {"quality": 95},
    "WEBP": {"lossless": True, "exact": True},
}
"""How pictures are saved anew, by format; those of the others lose nothing by themselves."""


@dataclass(frozen=True)
class Fixed:
    """What was done.

    Attributes:
        root: the folder that the paths of the findings lie in; it need not be there any more.
        fixes: in the order in which they were made.
        left: the check of the copy.
    """

    root: Path
    fixes: tuple[Fix, ...]
    left: Check


def fix(path: Path | str, out: Path | str, format: FormatName | None = None) -> Fixed:
    """Write a repaired copy of a set with `fixes.json`, all of it or nothing; the set itself is not touched.

    Args:
        path: the folder of a set.
        out: a new or an empty folder, outside of `path`.
        format: what the set is written in, instead of looking.

    Raises:
        InputError: there is no set, it reaches out of its folder, or `out` cannot be made.
    """
    path, out = Path(path), Path(out)
    if not path.is_dir():
        raise InputError(f"{path} is no folder; a copy with repairs is made of a folder with all that a set has.")
    if out.resolve().is_relative_to(path.resolve()):
        raise InputError(f"{out} lies in {path}. Allowed: a new or an empty folder elsewhere.")
    with new_folder(out) as fresh:
        root = fresh.resolve()
        try:
            shutil.copytree(path, root, dirs_exist_ok=True, copy_function=shutil.copyfile)
            for place, _, _ in os.walk(root):  # of a set that nobody may write to, the copy is to be written to
                os.chmod(place, os.stat(place).st_mode | stat.S_IRWXU)
        except (OSError, shutil.Error) as error:
            raise InputError(f"{path} cannot be copied: {error}.") from error
        _require_inside(look(root, format).parts, root, path)
        fixes: list[Fix] = []
        found = check(root, format)
        for _ in range(_ROUNDS):
            made = _round(root, found, format)
            if not made:
                break
            fixes += made
            found = check(root, format)
        done = Fixed(root, tuple(fixes), found)
        write_text(root / "fixes.json", json.dumps(to_dict(done), indent=2, ensure_ascii=False) + "\n")
    return done


def summary(done: Fixed) -> str:
    """What was repaired and what was left, by kind."""
    lines = [f"{len(done.fixes)} repairs:"]
    for (code, title), count in Counter((f.finding.code, f.finding.kind.title) for f in done.fixes).items():
        lines.append(f"  {count} × {code}: {title}")
    lines.append(f"{len(done.left.findings)} findings left:")
    for code, findings in done.left.by_code().items():
        lines.append(f"  {findings[0].kind.level} {len(findings)} × {code}. {findings[0].kind.remedy}")
    return "\n".join(lines)


def to_dict(done: Fixed) -> dict[str, object]:
    """Everything for programs; paths start from the folder of the set."""
    return {
        "fixes": [{**_plain(fix.finding, done.root), "action": fix.action} for fix in done.fixes],
        "left": [_plain(finding, done.root) for finding in done.left.findings],
    }


def _round(root: Path, found: Check, format: FormatName | None) -> list[Fix]:
    fixes: list[Fix] = []
    for source in look(root, format).parts:
        mend, codes = MENDED[source.format]
        own = [finding for finding in found.findings if finding.part == source.part and _inside(finding.file, root)]
        # Where the size is in doubt, the picture may have been turned after its boxes were drawn.
        doubted = {finding.file for finding in own if finding.code in SIZED}
        turned = [finding for finding in own if finding.code == "picture-turned" and finding.file not in doubted]
        fixes += map(_upright, turned)
        # The third of three equal boxes is like the first and like the second, and goes once.
        mendable = {(finding.code, finding.file, finding.place): finding for finding in own if finding.code in codes}
        if mendable:
            raw: Raw = FORMATS[source.format].parse(source)
            unclear = in_doubt(raw)
            mendable = {
                key: finding
                for key, finding in mendable.items()
                # Nor is a box cut to a picture of whose size nobody is sure.
                if not (finding.code in CUT and finding.picture in doubted)
                and (finding.file, finding.place) not in unclear
            }
            fixes += mend(raw, mendable.values())
    return fixes


def _upright(finding: Finding) -> Fix:
    """Save a picture as it is displayed; pixels of a JPEG or AVIF are encoded anew."""
    with warnings.catch_warnings(), Image.open(finding.file) as picture:
        warnings.simplefilter("ignore")  # what Pillow warns of is harmless here: the check has decoded the picture
        kind = picture.format
        turned = ImageOps.exif_transpose(picture)
    if kind == "MPO":  # a JPEG with a second picture behind it, such as a map of depths
        kind = "JPEG"
    options = _OPTIONS.get(str(kind), {})
    write_atomically(finding.file, lambda beside: turned.save(beside, format=kind, **options))
    return Fix(finding, "saved upright")


def _require_inside(parts: tuple[Source, ...], root: Path, path: Path) -> None:
    """Whoever repaired what lies elsewhere would repair the set itself."""
    for source in parts:
        for place in (source.annotations, source.images):
            if not _inside(place, root):
                raise InputError(f"{path}: {source.part} lies outside, in {place}. Allowed: a set within its folder.")


def _inside(file: Path, root: Path) -> bool:
    return file.resolve().is_relative_to(root)


def _plain(finding: Finding, root: Path) -> dict[str, str]:
    file = finding.file.relative_to(root) if finding.file.is_relative_to(root) else finding.file
    value = finding.value.replace(f"{root}{os.sep}", "")
    return {"code": finding.code, "part": finding.part, "file": str(file), "place": finding.place, "value": value}
