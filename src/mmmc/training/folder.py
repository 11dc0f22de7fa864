"""A run is a folder with all that is needed to repeat it, go on with it, and use it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmmc.data.changes import REPAIRS
from mmmc.environment import environment
from mmmc.errors import InputError
from mmmc.files import UNFINISHED, locked, write_text
from mmmc.recipe import Recipe, to_yaml


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of a run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """The whole recipe, YAML."""
        return self.path / "recipe.yaml"

    @property
    def checkpoint(self) -> Path:
        """State at the end of the last finished epoch, for resuming."""
        return self.path / "checkpoint.pt"

    @property
    def metrics(self) -> Path:
        """JSON lines: losses every few iterations, AP of each evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def environment(self) -> Path:
        """Versions and machine, JSON."""
        return self.path / "environment.json"

    @property
    def repairs(self) -> Path:
        """Boxes that were dropped or clipped, JSON lines."""
        return self.path / REPAIRS

    @property
    def record(self) -> Path:
        """The run in one JSON line, for tables."""
        return self.path / "record.json"

    @property
    def pictures(self) -> Path:
        """Folder of pictures."""
        return self.path / "pictures"

    def weights(self, which: str) -> Path:
        """Weights `best` or `last`."""
        return self.path / f"{which}.safetensors"

    @property
    def lock(self) -> Path:
        """An empty file that is there, and locked, while a process trains; one that was killed leaves it."""
        return self.path / ".lock"

    def require_free(self) -> None:
        """Raise `InputError` if something is there already."""
        if self.path.exists() and (not self.path.is_dir() or self._content()):
            what = "another run" if self.recipe.exists() else "something else"
            raise InputError(
                f"{self.path} holds {what}. Name a new folder, or go on with a run by --resume {self.path}."
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder and keep other trainings out of it; if nothing was put into it, it goes again.

        What a training that was killed had not finished writing goes too.

        Raises:
            InputError: another process trains here, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"The run folder {self.path} cannot be made: {error.strerror}.") from error
        try:
            if not locked(handle):
                raise InputError(f"{self.path}: another process trains here. Name a new folder, or wait for its end.")
            for unfinished in self.path.glob(UNFINISHED):
                unfinished.unlink()
            try:
                yield
            finally:
                self.lock.unlink(missing_ok=True)
                if self.path.is_dir() and not self._content():
                    self.path.rmdir()
        finally:
            os.close(handle)

    @contextmanager
    def creating(self, first_process: bool) -> Iterator[None]:
        """Remove the folder again if what happens inside is refused."""
        try:
            yield
        except InputError:
            if first_process:
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def require(self) -> None:
        """Raise `InputError` unless the folder holds a run."""
        if not self.recipe.is_file():
            raise InputError(f"{self.path} holds no run: there is no {self.recipe.name} in it.")

    def _content(self) -> set[Path]:
        return {*self.path.iterdir()} - {self.lock}

    def describe(self, recipe: Recipe) -> None:
        """Write what the run does and what it runs on."""
        around = json.dumps(environment(), indent=2) + "\n"
        write_text(self.recipe, to_yaml(recipe))
        write_text(self.environment, around)
