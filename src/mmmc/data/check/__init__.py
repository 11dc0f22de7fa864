"""Faults of a set, found before they cost a training: each with its place, its effect, and what to do."""

from __future__ import annotations

from pathlib import Path

from mmmc.data.check.boxes import box_findings
from mmmc.data.check.classes import class_findings
from mmmc.data.check.findings import Check, Finding
from mmmc.data.check.kinds import KINDS, Kind
from mmmc.data.check.pictures import picture_findings
from mmmc.data.formats import FORMATS, FormatName, Raw, look

__all__ = ["KINDS", "Check", "Finding", "Kind", "check"]


def check(path: Path | str, format: FormatName | None = None) -> Check:
    """Look for all that is wrong with a set. Every picture is decoded once.

    Args:
        path: as `look` takes it.
        format: what the set is written in, instead of looking.

    Raises:
        InputError: there is no set.
    """
    found = look(path, format)
    parts: list[Raw] = [FORMATS[source.format].parse(source) for source in found.parts]
    # What is wrong with a file that several parts share is named once.
    flaws = {flaw: flaw.place for flaw in found.left_out}
    for raw in parts:
        for flaw in raw.flaws:
            flaws.setdefault(flaw, raw.source.part)
    findings = [Finding(flaw.code, part, flaw.file, flaw.place, flaw.value) for flaw, part in flaws.items()]
    findings += class_findings(parts)
    for raw in parts:
        findings += box_findings(raw)
    findings += picture_findings(parts)
    order = list(KINDS)
    findings.sort(key=lambda finding: (finding.kind.level != "error", order.index(finding.code)))
    unique = tuple(dict.fromkeys(findings))
    counts = {raw.source.part: (len(raw.pictures), sum(not box.crowd for box in raw.boxes)) for raw in parts}
    return Check(Path(path), found.seen, counts, unique)
