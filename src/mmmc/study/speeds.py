"""Pictures a second of networks, from the JSON of a benchmark."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmmc.errors import InputError

Speeds = Mapping[str, float]
"""Pictures a second by the benchmark's names of rows."""


def read_speeds(path: str | Path) -> Speeds:
    """What `python -m benchmarks detector --out FILE` measured.

    Raises:
        InputError: the file cannot be read, or holds no seconds of rows.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"]
        return {row["name"]: 1 / statistics.median(row["values"]) for row in rows if row["unit"] == "s"}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise InputError(
            f"{path} holds no seconds of rows. Allowed: what `python -m benchmarks detector --out FILE` writes."
        ) from error


def speed_of(network: str, recipe: Any, speeds: Speeds) -> float | None:
    """Pictures a second of FCOS's or MMMC's network with a recipe's backbone, in float32; None if not measured."""
    return speeds.get(f"{network}, {recipe.model.backbone.split('.')[0]}, fp32")
