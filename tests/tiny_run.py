"""Options of `mmmc train` that make any recipe tiny, and a run of them."""

from __future__ import annotations

from pathlib import Path

MODEL = (
    *("--model.backbone", "test_efficientnet", "--model.weights", "none", "--model.frozen_stages", "0"),
    *("--model.frozen_norm", "false", "--model.channels", "16", "--model.groups", "4", "--model.depth", "1"),
)
"""The smallest detector with maps at strides 8, 16 and 32."""

SIZE = ("--augmentation.short", "[64]", "--augmentation.long", "96", "--resize.short", "64", "--resize.long", "96")

SHORT = ("--train.epochs", "1", "--train.batch_size", "4", "--train.ema", "null", "--train.loggers", "[]")

EAGER = ("--optimizer.lr", "0.02", "--postprocess.threshold", "0.001")
"""A detector that has hardly learned anything finds something all the same."""

QUIET = ("--quiet", "true")
HERE = ("--accelerator", "cpu", "--devices", "1", *QUIET, "--report", "false")

TINY = (*MODEL, *SIZE, *SHORT, *EAGER, *HERE)


def train_tiny(data: Path, out: Path) -> Path:
    """A finished run of one epoch, in a second or two."""
    from mmmc.cli import main  # the options are read where mmmc is not installed, too

    assert main(["train", str(data), "--recipe", "small", "--out", str(out), *TINY]) == 0
    return out
