"""A set of a few pictures and a run of a few seconds, each made once by the tests that ask for it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

from mmmc.cli import main
from mmmc.data.synthetic import make_synthetic

MODEL = (
    *("--model.backbone", "test_efficientnet", "--model.weights", "none", "--model.frozen_stages", "0"),
    *("--model.frozen_norm", "false", "--model.channels", "16", "--model.groups", "4", "--model.depth", "1"),
)
"""The smallest detector with maps at strides 8, 16 and 32."""

SIZE = ("--augmentation.short", "[64]", "--augmentation.long", "96", "--resize.short", "64", "--resize.long", "96")

SHORT = (
    *("--train.epochs", "1", "--train.batch_size", "4", "--train.loggers", "[]"),
    *("--accelerator", "cpu", "--devices", "1", "--quiet", "true"),
)

MANY = ("--optimizer.lr", "0.02", "--postprocess.threshold", "0.001")
"""So that a detector that has hardly learned anything finds something."""

TINY = (*MODEL, *SIZE, *SHORT, *MANY)
"""Options of `mmmc train` that make any recipe tiny."""


@cache
def workplace() -> Path:
    """A folder for what all tests of this process share; the headers of pictures are remembered there, too."""
    folder = Path(tempfile.mkdtemp(prefix="mmmc-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def tiny_set() -> Path:
    """Twelve pictures to train on and four to score, 64 × 64."""
    return make_synthetic(workplace() / "set", train=12, val=4, size=(64, 64))


@cache
def tiny_run() -> Path:
    """A finished run on `tiny_set`."""
    out = workplace() / "run"
    with mock.patch.dict(os.environ, MMMC_CACHE=str(workplace() / "cache")):
        status = main(["train", str(tiny_set()), "--out", str(out), *TINY])
    assert status == 0
    return out
