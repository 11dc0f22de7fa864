"""A plan: variants of a recipe, trained on one set with the same seeds, and how far it is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mmmc.errors import InputError, did_you_mean
from mmmc.files import write_atomically
from mmmc.recipe import Recipe, digest, load_recipe, to_yaml
from mmmc.recipe.reading import merge
from mmmc.study import records

KEYS = ("data", "recipe", "seeds", "records", "common", "variants")


@dataclass(frozen=True)
class Run:
    """One variant with one seed."""

    name: str
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> str:
        """Of its run folder: name, seed and digest, so that another recipe never goes on with these weights."""
        words = re.findall(r"\w+", self.name)
        return "-".join([*words, str(self.seed), digest(self.recipe)])


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        path: the file that says so.
        set: name of the set in records.
        records: file that results are written to; what it holds is not trained again.
        recipes: by the variant's name, with seed 0.
        seeds: every variant is trained with each.
    """

    path: Path
    set: str
    records: Path
    recipes: Mapping[str, Recipe]
    seeds: tuple[int, ...]

    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that a plan that is cut short has complete pairs."""
        return [
            Run(name, seed, replace(recipe, train=replace(recipe.train, seed=seed)))
            for seed in self.seeds
            for name, recipe in self.recipes.items()
        ]

    def missing(self) -> list[Run]:
        """Runs without a record of the same recipe."""
        known = records.load(self.records) if self.records.exists() else []
        done = {tuple(record[key] for key in records.IDENTITY) for record in known}
        return [run for run in self.runs() if (run.name, self.set, run.seed, digest(run.recipe)) not in done]


def read_plan(path: str | Path, *, data: str | None = None, seeds: Sequence[int] = ()) -> Plan:
    """Read a plan.

    The file is a mapping: `data`, a folder (`$MMMC_DATA/bccd`); `recipe`; `seeds`; `records`, a file relative to the
    plan's; `common`, what all variants change in the recipe; and `variants`, by name what each changes besides. A
    variant may start from another `recipe`.

    Args:
        path: the file.
        data: another folder than the plan's; records name the set after it.
        seeds: others than the plan's.

    Raises:
        InputError: the file cannot be read, a key is unknown or missing, a variable of the path is not set, or a
            recipe is not allowed.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Plan {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a plan is a mapping with the keys {', '.join(KEYS)}.")
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: there is no key {key!r}.{did_you_mean(str(key), KEYS)}")
    for key in KEYS:
        if key not in content and key != "common":
            raise InputError(f"{path}: the key {key!r} is missing. A plan holds {', '.join(KEYS)}.")
    data = data or os.path.expandvars(content["data"])
    if "$" in data:
        raise InputError(f"{path}: data is {data!r}, but this environment variable is not set.")
    base: dict[str, Any] = {"data": {"path": data}, "train": {"seed": 0}}
    common = merge(base, content.get("common") or {})
    recipes = {}
    for name, changes in content["variants"].items():
        own = dict(changes or {})
        recipe = own.pop("recipe", content["recipe"])
        recipes[name] = load_recipe(recipe, merge(common, own))
    holdout = {bool(recipe.data.holdout) for recipe in recipes.values()}
    if len(holdout) != 1:
        raise InputError(f"{path}: some variants are scored on held out training pictures and some are not.")
    return Plan(
        path=path,
        set=Path(data).name + (" holdout" if holdout.pop() else ""),
        records=path.parent / content["records"],
        recipes=recipes,
        seeds=tuple(seeds or content["seeds"]),
    )


@dataclass
class _Job:
    run: Run
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.perf_counter)


def train_plan(
    plan: Plan,
    out: str | Path,
    *,
    jobs: int = 1,
    threads: int = 1,
    time_budget: float | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Train what is missing, each run in a process of its own, and write each record as it comes.

    A run that was cut is resumed from its folder.

    Args:
        plan: what is to be trained.
        out: folder of the run folders.
        jobs: runs at a time.
        threads: of each.
        time_budget: seconds after which no run is begun that, by the slowest so far, would end later.
        say: told what begins and ends.

    Returns:
        Whether every run succeeded or was left for want of time.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    began, slowest, sound = time.perf_counter(), 0.0, True
    waiting = plan.missing()
    say(f"{plan.path}: {len(plan.runs()) - len(waiting)} runs are recorded, {len(waiting)} to do.")
    active: list[_Job] = []
    try:
        while waiting or active:
            late = time_budget is not None and time.perf_counter() - began + slowest > time_budget
            while waiting and len(active) < jobs and not late:
                run = waiting.pop(0)
                say(f"begins: {run.name}, seed {run.seed}")
                active.append(_Job(run, _start(run, out, threads)))
            if late and not active:
                say(f"{len(waiting)} runs are left for want of time.")
                break
            for job in _ended(active):
                active.remove(job)
                slowest = max(slowest, time.perf_counter() - job.began)
                if job.process.returncode == 0:
                    record = _record(job.run, out)
                    records.append(plan.records, record)
                    say(f"ended: {job.run.name}, seed {job.run.seed}: AP {100 * record['metrics']['AP']:.1f}")
                else:
                    sound = False
                    say(f"failed: {job.run.name}, seed {job.run.seed}; see {out / (job.run.folder + '.log')}")
            time.sleep(0.2)
    finally:
        for job in active:
            job.process.terminate()
            job.process.wait()
    return sound


def _ended(active: Sequence[_Job]) -> Iterator[_Job]:
    return (job for job in list(active) if job.process.poll() is not None)


def _start(run: Run, out: Path, threads: int) -> subprocess.Popen[bytes]:
    folder = out / run.folder
    command = [sys.executable, "-m", "mmmc", "train", "--quiet", "true"]
    if (folder / "checkpoint.pt").is_file():
        command += ["--resume", str(folder)]
    else:
        recipe = out / f"{run.folder}.yaml"
        write_atomically(recipe, lambda path: path.write_text(to_yaml(run.recipe), encoding="utf-8"))
        command += ["--recipe", str(recipe), "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with (out / f"{run.folder}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _record(run: Run, out: Path) -> dict[str, Any]:
    record = json.loads((out / run.folder / "record.json").read_text(encoding="utf-8"))
    return {**record, "name": run.name}
