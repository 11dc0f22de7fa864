"""Records of finished runs: a text file with one JSON object a line, to commit and to make tables of."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmmc.errors import InputError
from mmmc.files import alone, json_lines, write_json_lines
from mmmc.label_measures import AGREEMENT, SIXTHS

FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "set": (str,),
    "seed": (int,),
    "recipe_hash": (str,),
    "version": (str,),
    "metrics": (dict,),
    "iterations": (int,),
    "seconds": (int, float),
    "machine": (dict,),
}
"""What every record holds: the variant's name, the set, the seed, a hash of the recipe without name and seed,
the package's version, metrics by name as fractions (None where undefined), iterations and seconds of training,
and the machine (cpu, cores, threads, torch). Further fields are kept."""

IDENTITY = ("name", "set", "seed", "recipe_hash")
"""Two records equal in these are of one run done twice."""


def identity(record: dict[str, Any]) -> tuple[str, str, int, str]:
    """Values of `IDENTITY`."""
    return record["name"], record["set"], record["seed"], record["recipe_hash"]


def append(
    path: str | Path,
    record: dict[str, Any],
    source: object = "The record",
    merge: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> None:
    """Add a record to the file, in the place of an earlier one of the same run if there is one.

    The file is replaced as a whole, so it is never half written; processes that write at the same moment wait for one
    another where the file system can lock files.

    Args:
        path: of the file.
        record: to be added.
        source: where the record comes from, for errors.
        merge: makes the record of the earlier one, if there is one, while no other process writes.

    Raises:
        InputError: the record or a line of the file lacks a field or has one of a wrong type, or the
            file cannot be written.
        ValueError: a number is not finite; JSON has no word for it.
    """
    path = Path(path)
    _check(record, str(source))
    with alone(path.parent):
        records = load(path) if path.exists() else []
        same = [number for number, other in enumerate(records) if identity(other) == identity(record)]
        if same:
            records[same[0]] = record if merge is None else merge(records[same[0]])
        else:
            records.append(record)
        write_json_lines(path, records)


def load(path: str | Path) -> list[dict[str, Any]]:
    """All records of a file, in its order.

    Raises:
        InputError: the file is missing, or a line is not a record; names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of run records.")
    records = []
    for where, record in json_lines(path):
        _check(record, where)
        records.append(record)
    return records


def _check(record: Any, where: str) -> None:
    if not isinstance(record, dict):
        raise InputError(f"{where}: {json.dumps(record)[:50]} is not a JSON object.")
    missing = [name for name in FIELDS if name not in record]
    if missing:
        raise InputError(f"{where}: missing {', '.join(missing)}. A record holds {', '.join(FIELDS)}.")
    for name, types in FIELDS.items():
        # bool is an int to Python, not to us.
        if not isinstance(record[name], types) or isinstance(record[name], bool):
            allowed = " or ".join(kind.__name__ for kind in types)
            raise InputError(f"{where}: {name} is {record[name]!r}, allowed is {allowed}.")
    for name, value in record["metrics"].items():
        if value is not None and not _number(value):
            raise InputError(
                f"{where}: metrics.{name} is {value!r}; allowed: a finite number, or null where it is undefined."
            )
    looks = record.get("agreement")
    if looks is not None and not (isinstance(looks, list) and len(looks) == SIXTHS and all(map(_look, looks))):
        raise InputError(
            f"{where}: agreement is {json.dumps(looks)[:80]}; allowed: {SIXTHS} entries, each null or an object with "
            f"{', '.join(AGREEMENT)}."
        )


def _number(value: Any) -> bool:
    # JSON has no NaN; Python reads it all the same.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _look(look: Any) -> bool:
    return look is None or (isinstance(look, dict) and all(_number(look.get(name)) for name in AGREEMENT))
