"""A plan: variants of a recipe, trained on one set with the same seeds, and how far it is done."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mmmc.errors import InputError, did_you_mean
from mmmc.recipe import DataConfig, Recipe, digest, load_recipe
from mmmc.recipe.reading import PLACES, merge
from mmmc.study import records

KEYS = ("data", "recipe", "seeds", "records", "common", "variants", "tried")
OPTIONAL = ("common", "tried")

KINDS: tuple[tuple[str, type, str], ...] = (
    ("data", str, "a folder"),
    ("seeds", list, "a list of whole numbers"),
    ("records", str, "a file"),
    ("variants", dict, "a mapping from names to changes of the recipe"),
    ("tried", dict, "a mapping from names of variants to whole numbers"),
)
"""What some keys hold, none of it empty."""

Identity = tuple[str, str, int, str]
"""Values of `records.IDENTITY`."""


@dataclass(frozen=True)
class Run:
    """One variant with one seed on one set."""

    name: str
    set: str
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> str:
        """Of its run folder: name, set, seed and digest, so that nothing else ever goes on with these weights."""
        words = re.findall(r"\w+", f"{self.name} {self.set}")
        return "-".join([*words, str(self.seed), digest(self.recipe)])

    @property
    def identity(self) -> Identity:
        """As `records.identity` has it for the record of this run."""
        return self.name, self.set, self.seed, digest(self.recipe)


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        path: the file that says so.
        set: name of the set in records.
        records: file that results are written to; what it holds is not trained again.
        recipes: by the variant's name, with seed 0.
        seeds: every variant is trained with each.
        shard: number and count: of so many equal shares of the runs, this one, counted from 1.
        other_data: a folder that was given instead of the plan's.
        tried: by the variant's name how many settings of it were compared before these were taken, these included.
    """

    path: Path
    set: str
    records: Path
    recipes: Mapping[str, Recipe]
    seeds: tuple[int, ...]
    shard: tuple[int, int] = (1, 1)
    other_data: str | None = None
    tried: Mapping[str, int] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        """All runs of the share, seed by seed, so that a plan that is cut short has complete pairs."""
        runs = [
            Run(name, self.set, seed, replace(recipe, train=replace(recipe.train, seed=seed)))
            for seed in self.seeds
            for name, recipe in self.recipes.items()
        ]
        number, count = self.shard
        return runs[number - 1 :: count]

    def command(
        self, names: Sequence[str], seeds: Sequence[int] = (), *, action: str = "run", options: Sequence[str] = ()
    ) -> str:
        """What trains variants, with these seeds or those of the file; or what else is done with them."""
        words = ["mmmc", "study", action, str(self.path), "--only", *names]
        if seeds:
            words += ["--seeds", f"[{', '.join(map(str, seeds))}]"]
        if self.other_data is not None:
            words += ["--data", self.other_data]
        return shlex.join([*words, *options])

    def recorded(self) -> dict[Identity, dict[str, Any]]:
        """What the file of records holds, of this plan or not."""
        known = records.load(self.records) if self.records.exists() else []
        return {records.identity(record): record for record in known}

    def missing(self) -> list[Run]:
        """Runs without a record of the same recipe."""
        done = self.recorded()
        return [run for run in self.runs() if run.identity not in done]


def read_plan(
    path: str | Path,
    *,
    data: str | None = None,
    seeds: Sequence[int] = (),
    only: Sequence[str] = (),
    shard: tuple[int, int] = (1, 1),
) -> Plan:
    """Read a plan.

    The file is a mapping: `data`, a folder (`$MMMC_DATA/bccd`); `recipe`; `seeds`; `records`, a file relative to the
    plan's; `common`, what all variants change in the recipe; and `variants`, by name what each changes besides. A
    variant may start from another `recipe`. `tried` may say by name how many settings of a variant were compared.

    Args:
        path: the file.
        data: another folder than the plan's; records name the set after it.
        seeds: others than the plan's.
        only: the variants with these names alone.
        shard: see `Plan`.

    Raises:
        InputError: the file cannot be read, a key is unknown or missing, a variable of the path is not set, a
            recipe is not allowed or of another set, a seed is there twice, or there is no variant of a name.
    """
    path = Path(path)
    content = _content(path)
    seeds = tuple(seeds or content["seeds"])
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{path}: seeds are {list(seeds)}; allowed: each once.")
    other_data, data = data, data or os.path.expandvars(content["data"])
    if "$" in data:
        raise InputError(f"{path}: data is {data!r}, but this environment variable is not set.")
    base: dict[str, Any] = {"data": {"path": data}, "train": {"seed": 0}}
    common = merge(base, content.get("common") or {})
    variants = content["variants"]
    for name in only:
        if name not in variants:
            raise InputError(f"{path}: there is no variant {name!r}.{did_you_mean(name, list(variants))}")
    recipes = {}
    for name, changes in variants.items():
        if only and name not in only:
            continue
        own = dict(changes or {})
        recipe = own.pop("recipe", content["recipe"])
        recipes[name] = load_recipe(recipe, merge(common, own))
        _require_set(f"{path}, variants: {name}", recipes[name].data, data)
    holdout = {bool(recipe.data.holdout) for recipe in recipes.values()}
    if len(holdout) != 1:
        raise InputError(f"{path}: some variants are scored on held out training pictures and some are not.")
    return Plan(
        path=path,
        set=Path(data).name + (" holdout" if holdout.pop() else ""),
        records=Path(os.path.normpath(path.parent / content["records"])),
        recipes=recipes,
        seeds=seeds,
        shard=shard,
        other_data=other_data,
        tried=content.get("tried", {}),
    )


def _content(path: Path) -> dict[str, Any]:
    """What the file holds, with all its keys and nothing else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Plan {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"Plan {path} is no text in UTF-8: {error}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a plan is a mapping with the keys {', '.join(KEYS)}.")
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: there is no key {key!r}.{did_you_mean(str(key), KEYS)}")
    for key in KEYS:
        if key not in content and key not in OPTIONAL:
            raise InputError(f"{path}: the key {key!r} is missing. A plan holds {', '.join(KEYS)}.")
    for key, kind, allowed in KINDS:
        if key in content and (not isinstance(content[key], kind) or not content[key]):
            raise InputError(f"{path}: {key} is {content[key]!r}; allowed: {allowed}.")
    if not all(type(seed) is int for seed in content["seeds"]):
        raise InputError(f"{path}: seeds are {content['seeds']!r}; allowed: whole numbers.")
    _require_changes(f"{path}: common", content.get("common"))
    for name, changes in content["variants"].items():
        if not isinstance(name, str):
            raise InputError(f'{path}, variants: the name {name!r} is no text; allowed: text, as "4" in quotes.')
        _require_changes(f"{path}, variants: {name}", changes)
    for name, count in content.get("tried", {}).items():
        if name not in content["variants"]:
            raise InputError(f"{path}, tried: no variant {name!r}.{did_you_mean(str(name), list(content['variants']))}")
        if type(count) is not int or count < 1:
            raise InputError(f"{path}, tried: {name} is {count!r}; allowed: a whole number from 1.")
    return content


def _require_set(where: str, given: DataConfig, path: str) -> None:
    """Records and folders are named after the plan's set, so no variant may have another."""
    own = DataConfig(path=path)
    for name in PLACES:
        value = getattr(given, name)
        if value != getattr(own, name):
            raise InputError(f"{where}: data.{name} is {value!r}; allowed: the plan's own set alone, as its key data.")


def _require_changes(where: str, changes: Any) -> None:
    if changes is not None and not isinstance(changes, dict):
        raise InputError(f"{where} is {changes!r}; allowed: a mapping of sections of the recipe to what they change.")
