"""What is known of the race: a text file with one JSON object a line, to commit and to make a table of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmmc.errors import InputError
from mmmc.files import alone, json_lines, write_json_lines

IDENTITY: dict[str, tuple[type, ...]] = {
    "contestant": (str,),
    "set": (str,),
    "minutes": (int, float),
    "seed": (int,),
    "threads": (int,),
    "settings_hash": (str,),
}
"""Two records equal in these are of one run done twice. The last is of the contestant's settings and versions, so that
a run is done again once they have changed, and is never averaged with those before."""

OUTCOME: dict[str, tuple[type, ...]] = {
    "metrics": (dict,),
    "iterations": (int,),
    "seconds": (int, float),
    "unit_seconds": (int, float),
    "machine": (dict,),
    "versions": (dict,),
    "settings": (dict,),
}
"""What a run that ended well has besides; one that failed has `error` instead, why."""

Record = dict[str, Any]
Identity = tuple[Any, ...]


def identity(record: Record) -> Identity:
    """Values of `IDENTITY`."""
    return tuple(record[name] for name in IDENTITY)


def append(path: Path, record: Record) -> None:
    """Add a record, in the place of an earlier one of the same run; the file is replaced as a whole.

    Raises:
        InputError: the record or a line of the file is none, or the file cannot be written.
        ValueError: a number is not finite; JSON has no word for it.
    """
    _check(record, "The record")
    with alone(path.parent):
        known = {identity(other): other for other in load(path)} | {identity(record): record}
        write_json_lines(path, known.values())


def load(path: Path) -> list[Record]:
    """All records of a file, in its order; none if there is no file.

    Raises:
        InputError: a line is not a record, or is one of an earlier line's run; names file and line.
    """
    found: dict[Identity, Record] = {}
    for where, record in json_lines(path) if path.is_file() else ():
        _check(record, where)
        if identity(record) in found:
            raise InputError(f"{where}: a second record of the run {identity(record)}; allowed: one.")
        found[identity(record)] = record
    return list(found.values())


def _check(record: object, where: str) -> None:
    if not isinstance(record, dict):
        raise InputError(f"{where}: {json.dumps(record)[:50]} is not a JSON object.")
    wanted = IDENTITY | ({"error": (str,)} if "error" in record else OUTCOME)
    for name, types in wanted.items():
        value = record.get(name)
        # bool is an int to Python, not to us.
        if not isinstance(value, types) or isinstance(value, bool):
            allowed = " or ".join(kind.__name__ for kind in types)
            raise InputError(f"{where}: {name} is {value!r}; allowed: {allowed}.")
