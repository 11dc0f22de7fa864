"""Plans: what is to do, what is done already, and records as they come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmmc.assign import ATSS
from mmmc.errors import InputError
from mmmc.recipe import digest, load_recipe
from mmmc.study import records
from mmmc.study.plan import read_plan
from mmmc.study.running import train_plan
from mmmc.study.workers import Here

from .plans import PLAN, write


def test_a_plan_is_trained_once(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    assert [(run.name, run.seed) for run in plan.runs()] == [
        ("FCOS", 0),
        ("FCOS, IoU", 0),
        ("FCOS", 1),
        ("FCOS, IoU", 1),
    ]
    # The first is recorded already, and the second with another recipe.
    first, second, *_ = plan.runs()
    usual = {"set": plan.set, "seed": 0, "version": "0", "metrics": {"AP": 0.5}, "iterations": 1, "seconds": 1}
    for run, recipe in ((first, digest(first.recipe)), (second, "other")):
        records.append(plan.records, {**usual, "name": run.name, "recipe_hash": recipe, "machine": {}})
    assert [(run.name, run.seed) for run in plan.missing()] == [("FCOS, IoU", 0), ("FCOS", 1), ("FCOS, IoU", 1)]
    said: list[str] = []
    assert train_plan(plan, Here(tmp_path / "runs", jobs=2), say=said.append)
    assert plan.missing() == []
    assert said[0].endswith("1 runs are recorded, 3 to do.")
    assert sum(line.startswith("ended") for line in said) == 3
    written = [json.loads(line) for line in plan.records.read_text().splitlines()]
    assert {(r["name"], r["seed"], r["set"]) for r in written} == {(r.name, r.seed, plan.set) for r in plan.runs()}
    assert train_plan(plan, Here(tmp_path / "nowhere"), say=said.append)
    assert said[-1].endswith("4 runs are recorded, 0 to do.")


def test_another_folder_and_other_seeds(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", "$NOT_SET_ANYWHERE/x"), data=str(tiny_set), seeds=[7, 8])
    assert [run.seed for run in plan.runs()] == [7, 7, 8, 8]
    assert plan.set == tiny_set.name
    assert {run.recipe.data.path for run in plan.runs()} == {str(tiny_set)}


def test_every_set_has_folders_of_its_own(tiny_set: Path, tmp_path: Path) -> None:
    """The digest leaves the set out, and all plans share a folder unless they are told another."""
    path = write(tmp_path / "plan.yaml", tiny_set)
    held = write(tmp_path / "held.yaml", tiny_set, PLAN.replace("common:", "common:\n  data: {{holdout: 0.2}}"))
    plans = [read_plan(path), read_plan(path, data="elsewhere/signs"), read_plan(held)]
    assert [plan.set for plan in plans] == ["tiny", "signs", "tiny holdout"]
    assert len({run.folder for plan in plans for run in plan.runs()}) == 3 * 4


def test_other_pictures_of_the_set_are_other_runs(tiny_set: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "plan.yaml", tiny_set)
    clip = write(tmp_path / "clip.yaml", tiny_set, PLAN.replace("common:", "common:\n  data: {{bad_boxes: clip}}"))
    plans = read_plan(path), read_plan(clip)
    assert len({run.identity for plan in plans for run in plan.runs()}) == 2 * 4


def test_a_finished_run_is_kept_under_the_name_that_the_plan_has_for_its_set(tiny_set: Path, tmp_path: Path) -> None:
    """A link to a set has another name than the set, by which the run itself calls it."""
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set), seeds=[0]).only(["FCOS"])
    (run,) = plan.runs()
    usual = {"version": "0", "metrics": {"AP": None}, "iterations": 1, "seconds": 1, "machine": {}}
    found = {**usual, "name": run.folder, "set": "as it was called", "seed": 0, "recipe_hash": digest(run.recipe)}
    (tmp_path / "runs" / run.folder).mkdir(parents=True)
    (tmp_path / "runs" / run.folder / "record.json").write_text(json.dumps(found))
    said: list[str] = []
    assert train_plan(plan, Here(tmp_path / "runs"), say=said.append)
    assert said[1:] == ["ended: FCOS, seed 0: AP –"]
    assert records.load(plan.records) == [found | {"name": "FCOS", "set": plan.set}]
    assert plan.missing() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds:", "seed:"), r"there is no key 'seed'\. Did you mean"),
        (("records: found.jsonl\n", ""), "the key 'records' is missing"),
        (
            ("data: {data}", "data: $NOT_SET_ANYWHERE/x"),
            r"data is '\$NOT_SET_ANYWHERE/x', but this environment variable",
        ),
        (
            ("quality_target: iou", "quality_target: best"),
            r"criterion\.quality_target: 'best' cannot be used; allowed: 'cent",
        ),
        (("recipe: small", "recipe: smal"), r"plan\.yaml, variants: FCOS: There is no recipe 'smal'"),
        (('"FCOS": {{}}', '"FCOS": {{modle: {{depth: 1}}}}'), r"plan\.yaml, variants: FCOS: .*no section 'modle'"),
        (('"FCOS": {{}}', '"FCOS": {{train: {{seed: 7}}}}'), r"variants: FCOS: train\.seed is 7; allowed: the plan's"),
        (("seeds: [0, 1]", "seeds: [0, 1, 0]"), r"seeds are \[0, 1, 0\]; allowed: each once"),
        (("seeds: [0, 1]", "seeds: 3"), "seeds is 3; allowed: a list"),
        (("variants:", "tried: 3\nvariants:"), "tried is 3; allowed: a mapping from names of variants"),
        (("variants:", "tried: {{Giou: 2}}\nvariants:"), r"tried: no variant 'Giou'\. Allowed: FCOS, 'FCOS, IoU'"),
        (("variants:", "tried: {{FCOS: 0}}\nvariants:"), "tried: FCOS is 0; allowed: a whole number from 1"),
        (("seeds: [0, 1]", "seeds: [true]"), "allowed: whole numbers"),
        ((PLAN[PLAN.index("variants:") :], "variants: [FCOS]"), "variants is .*allowed: a mapping"),
        (('"FCOS":', "4:"), r"variants: the name 4 is no text; allowed: text, as \"4\" in quotes"),
        (('"FCOS":', "off:"), "variants: the name False is no text"),
        (('"FCOS": {{}}', '"FCOS": small_atss'), "variants: FCOS is 'small_atss'; allowed: a mapping"),
        (
            ('"FCOS": {{}}', '"FCOS": {{data: {{path: x}}}}'),
            "variants: FCOS: data.path is 'x'; allowed: the plan's own",
        ),
        (
            ("common:", "common:\n  data: {{val_images: x}}"),
            "variants: FCOS: data.val_images is 'x'; allowed: the plan",
        ),
        (
            ("variants:", 'variants:\n  "FCOS+": {{}}'),
            r"variants: 'FCOS\+' and 'FCOS' are one recipe and their names differ by signs alone",
        ),
        (("variants:", "common: small\nvariants:"), r"plan\.yaml: common is 'small'; allowed: a mapping"),
        (("variants:", "common: [a]\nvariants:"), r"common is \['a'\]; allowed: a mapping"),
    ],
)
def test_what_cannot_be_read(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_plan(write(tmp_path / "plan.yaml", "data", PLAN.replace(*change)))
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "other.yaml")
    (tmp_path / "other.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"other\.yaml is no text in UTF-8"):
        read_plan(tmp_path / "other.yaml")


def test_where_the_set_lies(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has a name, a link keeps its own, and a folder may have a sign of a variable in it."""
    (tmp_path / "linked").symlink_to(tiny_set)
    (tmp_path / "a$b").mkdir()
    plan = write(tmp_path / "plan.yaml", "data")
    monkeypatch.chdir(tmp_path / "a$b")
    for data, name in ((".", "a$b"), ("../linked", "linked"), (str(tmp_path / "a$b"), "a$b"), ("$X", "$X")):
        assert read_plan(plan, data=data).set == name
    assert read_plan(write(plan, tmp_path / "a$b")).set == "a$b"


def test_the_plans_of_the_repository_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMMC_DATA", "data")
    plans = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
    assert plans
    for path in plans:
        assert read_plan(path).runs(), path


def test_a_variant_may_start_from_another_recipe(tiny_set: Path, tmp_path: Path) -> None:
    atss = '  "ATSS": {{recipe: small_atss}}\n'
    three = '  "ATSS, 3": {{recipe: small_atss, assigner: {{init_args: {{topk: 3}}}}}}\n'
    text = PLAN + atss + three
    recipes = read_plan(write(tmp_path / "plan.yaml", tiny_set, text)).recipes
    assert recipes["ATSS"].assigner == ATSS(square_strides=4.0)
    assert recipes["ATSS, 3"].assigner == ATSS(topk=3, square_strides=4.0)
    assert recipes["FCOS"].assigner == load_recipe("small").assigner
    # What is common to all is common to these too.
    assert {recipe.train.iterations for recipe in recipes.values()} == {2}
    unknown = PLAN + '  "ATSS": {{recipe: small_ats}}\n'
    with pytest.raises(InputError, match=r"There is no recipe 'small_ats'\. Did you mean 'small_atss'"):
        read_plan(write(tmp_path / "plan.yaml", tiny_set, unknown))
