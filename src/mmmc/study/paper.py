"""The paper's tables as data: their rows, which variants of plans belong to them, and what is printed there.

A table is a file of `tables/`; adding one touches nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from mmmc.errors import InputError

FOLDER = resources.files("mmmc") / "study" / "tables"


@dataclass(frozen=True)
class Setting:
    """What the paper's runs were: the set they were scored on, the backbone, iterations and pictures of each."""

    set: str
    backbone: str
    iterations: int
    batch: int


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Attributes:
        name: in the table.
        variants: names of variants of plans; the first that a plan has is taken.
        printed: by column what the paper prints, in its unit.
        base: name of the row that this one is compared with; None for none.
        measure: of the records' `agreement`, for a table over the training.
        printed_reduction: by column what the paper prints as reduction, in percent.
        network: whose pictures a second are the row's, FCOS or MMMC; None where the table has no speed.
        printed_speed: pictures a second that the paper prints.
        optional: not of the paper; left out where no plan has it.
    """

    name: str
    variants: tuple[str, ...]
    printed: dict[str, float]
    base: str | None
    measure: str | None
    printed_reduction: dict[str, float]
    network: str | None
    printed_speed: float | None
    optional: bool


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes:
        number: of it.
        title: in our words.
        paper: how its figures came about.
        note: what is to be known beside; may be empty.
        columns: metrics of records; or, with `reduction`, the ends of the sixths of a training.
        reduction: compared are relative reductions of a loss instead of differences of AP.
        rows: in order.
    """

    number: int
    title: str
    paper: Setting
    note: str
    columns: tuple[str, ...]
    reduction: bool
    rows: tuple[PaperRow, ...]

    @property
    def has_speed(self) -> bool:
        """Whether the paper prints pictures a second."""
        return any(row.network for row in self.rows)


def numbers() -> list[int]:
    """Of the tables that there are."""
    return sorted(int(path.name.removesuffix(".yaml")) for path in FOLDER.iterdir() if path.name.endswith(".yaml"))


def paper_table(number: int) -> PaperTable:
    """The definition of a table.

    Raises:
        InputError: there is no such table.
    """
    if number not in numbers():
        raise InputError(f"The paper has no table {number}; allowed: {', '.join(map(str, numbers()))}.")
    content = yaml.safe_load(FOLDER.joinpath(f"{number}.yaml").read_text(encoding="utf-8"))
    columns = tuple(content["columns"])
    return PaperTable(
        number=number,
        title=content["title"],
        paper=Setting(**content["paper"]),
        note=content.get("note", ""),
        columns=columns,
        reduction=content.get("reduction", False),
        rows=tuple(_row(row, columns, content.get("base")) for row in content["rows"]),
    )


def _row(content: dict[str, Any], columns: tuple[str, ...], base: str | None) -> PaperRow:
    base = content.get("base", base)
    return PaperRow(
        name=content["name"],
        variants=tuple(content["variants"]),
        # The paper prints nothing for the end of the training, the last column.
        printed=dict(zip(columns, content.get("printed", ()), strict=False)),
        base=None if base == content["name"] else base,
        measure=content.get("measure"),
        printed_reduction=dict(zip(columns, content.get("printed_reduction", ()), strict=False)),
        network=content.get("network"),
        printed_speed=content.get("printed_speed"),
        optional=content.get("optional", False),
    )
