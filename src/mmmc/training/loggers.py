"""Loggers besides the JSON lines, through Fabric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger, TensorBoardLogger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from mmmc.errors import InputError


def build_loggers(names: Sequence[str], folder: Path) -> list[Logger]:
    """The loggers of these names, writing into the run folder where they write files.

    Raises:
        InputError: a logger's package is not installed.
    """
    makers = {"tensorboard": _tensorboard, "mlflow": _MLflow, "wandb": _WandB}
    return [makers[name](folder) for name in names]


def _tensorboard(folder: Path) -> Logger:
    return TensorBoardLogger(root_dir=folder, name="tensorboard", version="")


class _Service(Logger):
    """A tracking service that is called with plain numbers."""

    package: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._module = __import__(self.package)
        except ImportError:
            raise InputError(
                f"train.loggers names {self.package!r}, which is not installed: `pip install mmmc[{self.package}]`."
            ) from None

    @property
    def name(self) -> str:
        return self.package

    @property
    def version(self) -> str:
        return self._folder.name

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The recipe is a file of the run; nothing more is sent."""


class _MLflow(_Service):
    package = "mlflow"

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._module.active_run() is None:
            self._module.start_run(run_name=self._folder.name)
        self._module.log_metrics(metrics, step=step)


class _WandB(_Service):
    package = "wandb"

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._module.run is None:
            self._module.init(project="mmmc", name=self._folder.name, dir=str(self._folder))
        self._module.log(metrics, step=step)
