"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmmc.data.check.kinds import KINDS, Kind


@dataclass(frozen=True)
class Finding:
    """A fault of a set.

    Attributes:
        code: its kind.
        part: of the set; empty when it is about all of them.
        file: where it stands.
        place: where in the file; empty when it is the file as a whole.
        value: what stands there.
        picture: the picture to show, if there is one.
        box: `x y width height` to draw in it.
    """

    code: str
    part: str
    file: Path
    place: str
    value: str
    picture: Path | None = None
    box: tuple[float, float, float, float] | None = None

    @property
    def kind(self) -> Kind:
        """What is known of its kind."""
        return KINDS[self.code]


@dataclass(frozen=True)
class Check:
    """All that was found in a set.

    Attributes:
        path: of the set.
        seen: what it was taken for.
        counts: pictures and objects of each part.
        findings: errors first, by kind.
    """

    path: Path
    seen: str
    counts: dict[str, tuple[int, int]]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.kind.level == "error" for finding in self.findings)

    def by_code(self) -> dict[str, list[Finding]]:
        """The findings of each kind."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.code, []).append(finding)
        return found
