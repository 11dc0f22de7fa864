"""A COCO file as plain values: JSON without its polygons, and checks of fields that name what is wrong where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from mmmc.errors import InputError

_NAME = b'"segmentation"'
_NOTHING = _NAME + b":0"
_POLYGONS = re.compile(_NAME + rb"\s*+:\s*+\[(?:[,\s]*+\[[-+\d.eE,\s]*+\])*+\s*+\]")
_CHUNK = 2**24
_MISSING = object()
_SHOWN = 5
"""So many of the entries at fault are shown; the message says how many there are."""


def read_json(file: Path) -> Any:
    """The values of a COCO file, without `segmentation`.

    Polygons make up most of a large file. They are cut from the text before it is parsed, so that COCO's train2017
    needs a fraction of the memory and, whatever letters it holds, never more. What stands inside a polygon is not
    looked at. NaN and Infinity are read as Python writes them.

    Raises:
        InputError: the file is missing, a folder, not UTF-8 or not JSON; names line and column.
    """
    try:
        try:
            return json.loads(_without_polygons(file).decode("utf-8-sig"), object_hook=_drop_shape)
        except json.JSONDecodeError:  # Parse the file as it stands, so that line and column are right.
            return json.loads(file.read_text("utf-8-sig"), object_hook=_drop_shape)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not UTF-8 text (byte {error.object[error.start]:#04x}). A COCO file is JSON."
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of nested brackets
        raise InputError(f"{file}: JSON that cannot be read: {error}.") from None
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{file}: a folder, not a file. Allowed: a COCO JSON file.") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from None


def _without_polygons(file: Path) -> bytes:
    """The file with 0 in place of each polygon; one that is longer than a chunk may stay."""
    parts, rest = [], b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            data = rest + chunk
            # What follows the last name may be half a polygon: it waits for the next chunk.
            last = data.rfind(_NAME, len(rest))
            cut = last if last >= 0 else len(data)
            parts.append(_POLYGONS.sub(_NOTHING, data[:cut]))
            rest = data[cut:]
    return b"".join([*parts, _POLYGONS.sub(_NOTHING, rest)])


def _drop_shape(entries: dict[str, Any]) -> dict[str, Any]:
    """Let go of a shape that is no polygon, such as run lengths, as soon as its annotation is parsed."""
    entries.pop("segmentation", None)
    return entries


def is_int64(value: object) -> bool:
    """Whether this JSON value is an integer that fits 64 bits; `true` is none."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_number(value: object) -> bool:
    """Whether this JSON value is a number that a float can hold, NaN and infinity included; `true` is none."""
    return type(value) is float or (type(value) is int and abs(value) < 2**1023)


@dataclass(frozen=True)
class Rows:
    """One list of a COCO file.

    Attributes:
        file: for messages.
        kind: what an entry is: "image", "annotation" or "category".
        rows: the entries.
    """

    file: Path
    kind: str
    rows: list[dict[str, Any]]

    @classmethod
    def of(cls, file: Path, top: object, field: str, kind: str, required: bool = True) -> Rows:
        """The list `field` of the whole file; empty when it is missing and not required.

        Raises:
            InputError: the file is not laid out as COCO's.
        """
        if type(top) is not dict:
            raise InputError(
                f"{file}: the top level is {_shown(top)}. Allowed: an object with images, annotations and categories."
            )
        rows = top.get(field, _MISSING if required else [])
        if type(rows) is not list:
            raise InputError(f"{file}: field {field} {_is(rows)}. Allowed: a list of {field}, as in COCO's files.")
        for place, row in enumerate(rows):
            if type(row) is not dict:
                raise InputError(
                    f"{file}: {field}[{place}] {_is(row)}. Allowed: an object with the fields of one {kind}."
                )
        return cls(file, kind, rows)

    def column(self, field: str, good: Callable[[Any], bool], allowed: str, default: object = _MISSING) -> list[Any]:
        """The field's value in every row.

        Raises:
            InputError: it is missing without a default, or not `good`.
        """
        values = [row.get(field, default) for row in self.rows]
        self.refuse(
            [place for place, value in enumerate(values) if value is _MISSING or not good(value)], field, allowed
        )
        return values

    def integers(self, field: str) -> Int64[np.ndarray, " _"]:
        """The column of an integer field."""
        return np.array(self.column(field, is_int64, "an integer"), dtype=np.int64)

    def unique(self, field: str, values: Iterable[Any]) -> None:
        """Refuse a value that occurs twice."""
        seen: set[Any] = set()
        twice = [place for place, value in enumerate(values) if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
        self.refuse(twice, field, f"a value that no other {self.kind} has")

    def refuse(self, places: Sequence[int], field: str, allowed: str, reasons: Sequence[str] = ()) -> None:
        """Raise if any row is at fault: name the first few, what they hold and how many there are.

        Raises:
            InputError: `places` is not empty. `reasons` says for each what is wrong, where that is not plain.
        """
        if not len(places):
            return
        shown = [
            f"  {self._name(place)}: {field} {_is(self.rows[place].get(field, _MISSING))}" for place in places[:_SHOWN]
        ]
        if reasons:
            shown = [f"{line}: {reason}" for line, reason in zip(shown, reasons, strict=False)]
        if len(places) > _SHOWN:
            shown.append(f"  … {len(places)} in all")
        raise InputError("\n".join([f"{self.file}: wrong {field}. Allowed: {allowed}.", *shown]))

    def _name(self, place: int) -> str:
        row = self.rows[place]
        name = f"{self.kind} {row['id']}" if "id" in row else f"{self.kind} number {place + 1} of the list"
        return f"{name} (image {row['image_id']})" if "image_id" in row else name


def _is(value: object) -> str:
    return "is missing" if value is _MISSING else f"is {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list) and len(value) > 8:
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)} entries"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
