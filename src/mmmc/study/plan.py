"""A plan: variants of a recipe, trained on one set with the same seeds, and how far it is done."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mmmc.errors import InputError, did_you_mean
from mmmc.recipe import DataConfig, Recipe, digest, load_recipe
from mmmc.recipe.reading import PLACES, merge
from mmmc.study import records as record_files

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
"""Values of `mmmc.study.records.IDENTITY`."""


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
        """As `mmmc.study.records.identity` has it for the record of this run."""
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
        seeds_given: whether they were given instead of the file's.
        shard: number and count: of so many equal shares of the runs, this one, counted from 1.
        instead: options of a command that were given instead of what the file says.
        tried: by the variant's name how many settings of it were compared before these were taken, these included.
    """

    path: Path
    set: str
    records: Path
    recipes: Mapping[str, Recipe]
    seeds: tuple[int, ...]
    seeds_given: bool = False
    shard: tuple[int, int] = (1, 1)
    instead: tuple[str, ...] = ()
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

    def require_set(self) -> None:
        """Refuse a set that is not there, before each run fails for it.

        Raises:
            InputError: there is nothing at its path, and a run is missing.
        """
        paths = {recipe.data.path for recipe in self.recipes.values() if recipe.data.path is not None}
        for path in paths:
            if not Path(path).exists() and self.missing():
                raise InputError(
                    f"{self.path}: data is {path!r}, and nothing is there; a path counts from the current folder, "
                    f"{Path.cwd()}."
                )

    def only(self, names: Collection[str]) -> Plan:
        """The same with those of these variants that it has."""
        return replace(self, recipes={name: recipe for name, recipe in self.recipes.items() if name in names})

    def command(
        self, names: Sequence[str], seeds: Sequence[int] = (), *, action: str = "run", options: Sequence[str] = ()
    ) -> str:
        """What trains variants, with these seeds or those of the plan; or what else is done with them."""
        words = ["mmmc", "study", action, str(self.path), "--only", *names]
        if seeds:
            words += ["--seeds", _list(seeds)]
        elif self.seeds_given:
            words += ["--seeds", _list(self.seeds)]
        return shlex.join([*words, *self.instead, *options])

    def recorded(self) -> dict[Identity, dict[str, Any]]:
        """What the file of records holds, of this plan or not."""
        known: dict[Identity, dict[str, Any]] = {}
        for record in record_files.load(self.records) if self.records.exists() else []:
            identity = record_files.identity(record)
            if known.setdefault(identity, record) is not record:
                name, set_name, seed, recipe = identity
                raise InputError(
                    f"{self.records} holds two records of {name!r} on {set_name!r}, seed {seed}, recipe {recipe}; "
                    "allowed: one. Remove one of the lines."
                )
        return known

    def missing(self) -> list[Run]:
        """Runs without a record of the same recipe."""
        done = self.recorded()
        return [run for run in self.runs() if run.identity not in done]

    def lacking(self) -> list[str]:
        """What is missing in sentences, variant by variant, each with the command that trains it."""
        seeds: dict[str, list[int]] = {}
        for run in self.missing():
            seeds.setdefault(run.name, []).append(run.seed)
        return [
            f"{name}, seed {', '.join(map(str, some))}: {self.command([name], some)}" for name, some in seeds.items()
        ]


def read_plan(
    path: str | Path,
    *,
    data: str | None = None,
    seeds: Sequence[int] = (),
    records: str | None = None,
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
        records: another file than the plan's, relative to the current folder; nothing is recorded where it is missing.
        shard: see `Plan`.

    Raises:
        InputError: the file cannot be read, a key is unknown or missing, a variable of the path is not set, a
            recipe is not allowed or of another set, or a seed is there twice.
    """
    path = Path(path)
    content = _content(path)
    given = {"--data": data, "--records": records}
    seeds_given, seeds = bool(seeds), tuple(seeds or content["seeds"])
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{path}: seeds are {list(seeds)}; allowed: each once.")
    named = data is None
    data = data or os.path.expandvars(content["data"])
    if named and "$" in data and not os.path.exists(data):
        raise InputError(f"{path}: data is {data!r}, but this environment variable is not set.")
    base: dict[str, Any] = {"data": {"path": data}, "train": {"seed": 0}}
    common = merge(base, content.get("common") or {})
    recipes = {}
    for name, changes in content["variants"].items():
        own = dict(changes or {})
        recipe = own.pop("recipe", content["recipe"])
        where = f"{path}, variants: {name}"
        try:
            recipes[name] = load_recipe(recipe, merge(common, own))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        _require_set(where, recipes[name].data, data)
        if recipes[name].train.seed != 0:
            raise InputError(f"{where}: train.seed is {recipes[name].train.seed}; allowed: the plan's own seeds alone.")
    holdout = {bool(recipe.data.holdout) for recipe in recipes.values()}
    if len(holdout) != 1:
        raise InputError(f"{path}: some variants are scored on held out training pictures and some are not.")
    plan = Plan(
        path=path,
        # Of `.` too; a link keeps its name, under which records know the set.
        set=os.path.basename(os.path.abspath(data)) + (" holdout" if holdout.pop() else ""),
        records=Path(os.path.normpath(path.parent / content["records"] if records is None else records)),
        recipes=recipes,
        seeds=seeds,
        seeds_given=seeds_given,
        shard=shard,
        instead=tuple(word for option, value in given.items() if value is not None for word in (option, value)),
        tried=content.get("tried", {}),
    )
    _require_folders(plan)
    return plan


def _require_folders(plan: Plan) -> None:
    """Two runs in one folder would be one."""
    names: dict[str, str] = {}
    for run in plan.runs():
        other = names.setdefault(run.folder, run.name)
        if other != run.name:
            raise InputError(
                f"{plan.path}, variants: {other!r} and {run.name!r} are one recipe and their names differ by signs "
                "alone, so that their runs would have one folder; allowed: names of other words."
            )


def _list(seeds: Sequence[int]) -> str:
    return f"[{', '.join(map(str, seeds))}]"


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
