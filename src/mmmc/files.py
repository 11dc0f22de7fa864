"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from mmmc.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and move into place, so that a full disk or a kill leaves the older file whole.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # PyTorch and safetensors report a full disk by exceptions of their own.
        if not isinstance(error, (OSError, RuntimeError, SafetensorError)):
            raise
        kept = " The older file is untouched." if path.exists() else ""
        raise InputError(f"{path} could not be written: {error}.{kept}") from error
