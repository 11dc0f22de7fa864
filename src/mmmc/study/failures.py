"""Runs that failed, in a JSON file beside the records, so that tables never meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmmc.errors import InputError
from mmmc.files import alone, write_text
from mmmc.study.plan import Identity
from mmmc.study.records import IDENTITY, identity

KEYS = (*IDENTITY, "error", "log")


def beside(records: Path) -> Path:
    """The file that belongs to a file of records."""
    return records.with_suffix(".failed.json")


def load(records: Path) -> dict[Identity, dict[str, Any]]:
    """Failures by run: its identity, `error` and `log`, the path of what it said.

    Raises:
        InputError: the file holds something else.
    """
    path = beside(records)
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(entries, list) or not all(isinstance(e, dict) and set(KEYS) <= e.keys() for e in entries):
        raise InputError(f"{path}: not a list of failed runs; allowed: objects with {', '.join(KEYS)}.")
    return {identity(entry): entry for entry in entries}


def note(records: Path, run: Identity, error: str, log: Path) -> None:
    """Keep why a run failed, in the place of an earlier failure of it."""
    entry = dict(zip(KEYS, (*run, error, str(log)), strict=True))
    with alone(records.parent):
        _write(records, load(records) | {run: entry})


def forget(records: Path, run: Identity) -> None:
    """A run that failed once has succeeded."""
    with alone(records.parent):
        known = load(records)
        if known.pop(run, None) is not None:
            _write(records, known)


def _write(records: Path, known: dict[Identity, dict[str, Any]]) -> None:
    path = beside(records)
    if not known:
        path.unlink(missing_ok=True)
        return
    text = json.dumps(list(known.values()), ensure_ascii=False, indent=1) + "\n"
    write_text(path, text)
