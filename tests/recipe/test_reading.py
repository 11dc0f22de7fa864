"""Recipes from YAML and back, on top of one another, and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stranger import WHOLE, Whole

from mmmc.assign import APS, FCOS
from mmmc.criterion import DenseCriterion
from mmmc.data.transforms import Augmentation, Resize
from mmmc.errors import InputError
from mmmc.recipe import (
    OptimizerConfig,
    Recipe,
    WarmStart,
    digest,
    from_dict,
    load_recipe,
    recipe_names,
    recipe_parser,
    to_dict,
    to_yaml,
)
from mmmc.recipe.reading import instantiate, set_recipe


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# What comes with the package


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_written_and_read_back(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert from_dict(to_dict(recipe)) == recipe
    assert load_recipe(write(tmp_path / "r.yaml", to_yaml(recipe))) == recipe
    assert recipe != Recipe()


def test_the_names_of_the_shipped_recipes() -> None:
    assert set(recipe_names()) >= {"demo", "fcos_r50_1x", "fcos_r50_2x", "small"}


def test_fcos_as_it_was_published() -> None:
    recipe = load_recipe("fcos_r50_1x")
    assert recipe.optimizer == OptimizerConfig(
        kind="sgd",
        lr=0.01,
        lr_batch=16,
        momentum=0.9,
        weight_decay=1e-4,
        norm_decay=1e-4,
        bias_decay=0.0,
        bias_lr=2.0,
        clip=None,
        schedule="step",
        steps=(60_000 / 90_000, 80_000 / 90_000),
        gamma=0.1,
        warmup=500,
        warmup_factor=1 / 3,
        warmup_kind="constant",
    )
    assert (recipe.train.iterations, recipe.train.batch_size, recipe.train.ema) == (90_000, 16, None)
    assert recipe.augmentation == Augmentation(short=(800,), long=1333, flip=0.5)
    assert recipe.resize == Resize(800, 1333)
    model = recipe.model
    assert (model.backbone, model.weights, model.frozen_stages, model.frozen_norm) == (
        "resnet50.tv_in1k",
        "imagenet",
        2,
        True,
    )
    assert (model.channels, model.depth, model.groups, model.quality_on) == (256, 4, 32, "box")
    assert recipe.assigner == FCOS(range_strides=8.0, center_radius=1.5)
    assert recipe.criterion == DenseCriterion(quality_target="giou", box_weight="centerness", alpha=0.25, gamma=2.0)
    assert (recipe.data.bad_boxes, recipe.data.crowd) == ("drop", "ignore")
    post = recipe.postprocess
    assert (post.threshold, post.per_level, post.nms, post.detections) == (0.05, 1000, 0.6, 100)


def test_twice_as_long_at_many_scales() -> None:
    once, twice = load_recipe("fcos_r50_1x"), load_recipe("fcos_r50_2x")
    short = tuple(range(480, 961, 32))
    assert twice == replace(
        once,
        train=replace(once.train, iterations=180_000),
        augmentation=replace(once.augmentation, short=short, long=1333),
    )


# One on top of another


def test_a_base_is_under_what_the_file_says(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    write(below / "first.yaml", "base: small\ntrain: {epochs: 3, seed: 7}\nassigner: {init_args: {center_radius: 2}}")
    # A path starts from the file that names it.
    path = write(tmp_path / "second.yaml", "base: below/first.yaml\ntrain: {epochs: 5}\noptimizer: {lr: 1e-3}")
    small, recipe = load_recipe("small"), load_recipe(path)
    assert recipe == replace(
        small,
        train=replace(small.train, epochs=5, seed=7),
        assigner=replace(small.assigner, center_radius=2.0),  # type: ignore[type-var]
        optimizer=replace(small.optimizer, lr=0.001),
    )
    assert load_recipe(path, {"train": {"epochs": 6}}) == replace(recipe, train=replace(recipe.train, epochs=6))


def test_another_class_does_not_take_over_the_options_of_the_base(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "assigner: {class_path: mmmc.assign.FCOS, init_args: {range_strides: 5}}")
    other = write(tmp_path / "b.yaml", f"base: a.yaml\nassigner: {{class_path: {WHOLE}, init_args: {{pull: 1}}}}")
    assert load_recipe(other).assigner == Whole(pull=1.0)


@pytest.mark.parametrize("path", ["mmmc.assign.FCOS", "mmmc.assign.fcos.FCOS", "FCOS"])
def test_one_class_may_be_named_in_several_ways(tmp_path: Path, path: str) -> None:
    write(tmp_path / "a.yaml", "assigner: {class_path: mmmc.assign.FCOS, init_args: {range_strides: 5}}")
    same = write(
        tmp_path / "b.yaml", f"base: a.yaml\nassigner: {{class_path: {path}, init_args: {{center_radius: 2}}}}"
    )
    assert load_recipe(same).assigner == FCOS(range_strides=5.0, center_radius=2.0)


def test_a_base_that_leads_back_to_itself(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    path = write(tmp_path / "a.yaml", "base: x/b.yaml")
    write(tmp_path / "x" / "b.yaml", "base: ../x/../a.yaml")
    with pytest.raises(InputError, match=r"a\.yaml: base: .*b\.yaml: its base leads back to itself: \S+/a\.yaml → "):
        load_recipe(path)
    with pytest.raises(InputError, match=r"self\.yaml: its base leads back to itself"):
        load_recipe(write(tmp_path / "self.yaml", "base: self.yaml"))


# Refused

REFUSED = {
    "modell: {depth: 3}": r"no section 'modell'\. Did you mean 'model'\? Allowed: assigner, augmentation",
    "model: 3": r"section 'model' is 3; allowed: a mapping of options",
    "model:": r"section 'model' is None; allowed: a mapping",
    "base: small\nmodel: 3": r"section 'model' is 3",
    "base: 3": r"base is 3; allowed: the name of a recipe, or the path of a \.yaml file",
    "base: smal": r"no recipe 'smal'\. Did you mean 'small'\? .* Or name a \.yaml file",
    "base: gone.yaml": r"gone\.yaml cannot be read: No such file",
    "optimizer: {learning_rate: 1}": r"'learning_rate'.* Allowed: bias_decay, bias_lr",
    "train: {epoch: 1}": r"'epoch'\. Did you mean 'epochs'\?",
    "train: {epochs: many}": r"train\.epochs: 'many' cannot be used; allowed: a whole number\.$",
    "train: {epochs: 1.5}": r"train\.epochs: '1\.5' cannot be used; allowed: a whole number\.$",
    "train: {epochs: true}": r"train\.epochs: 'True' cannot be used; allowed: a whole number\.$",
    "train: {epochs: 0}": r"train\.epochs is 0; allowed: at least 1",
    "data: {path: 3}": r"data\.path: '3' cannot be used; allowed: a text or null\.$",
    "optimizer: {kind: adam}": r"optimizer\.kind: 'adam' cannot be used; allowed: 'sgd', 'adamw'\.$",
    "optimizer: {lr: .nan}": r"optimizer\.lr is nan; allowed: a finite number above 0",
    "augmentation: {short: 800}": r"augmentation\.short.*800",
    "augmentation: {long: 20}": r"long = 20 cannot be used\. Allowed: at least the largest of short",
    "model: {channels: 100}": r"model\.channels is 100; allowed: a multiple of model\.groups = 32",
    "train: {loggers: [paper]}": r"train\.loggers: 'paper' cannot be used; allowed: 'tensorboard', 'mlflow', 'wandb'",
    "assigner: {class_path: mmmc.assign.FCSO}": r"FCSO.*Did you mean 'FCOS'\? Allowed: .*FCOS",
    "assigner: {class_path: nope.FCOS}": r"nope.*Did you mean 'FCOS'\?",
    "assigner: {class_path: mmmc.criterion.DenseCriterion}": r"DenseCriterion does not correspond to a subclass",
    "assigner: {init_args: {range: 3}}": r"'range' .* Did you mean 'range_strides'\? Allowed: center_radius",
    "assigner: {init_args: {center_radius: 0}}": r"center_radius is 0\.0; allowed: a number above 0",
    "- model": r"a recipe is a mapping of sections; found list",
    "hello": r"a recipe is a mapping of sections; found str",
    "model: [": r"is not YAML: .*line 1",
    "model: {depth: 1, depth: !!python/object:os.system {}}": r"is not YAML: .*python/object",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_used_is_refused_with_the_name_of_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)mine\.yaml.*{REFUSED[text]}"):
        load_recipe(write(tmp_path / "mine.yaml", text))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"r\.yaml is no text in UTF-8"):
        load_recipe(tmp_path / "r.yaml")


def test_an_empty_file_is_the_default_recipe(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path / "r.yaml", "# nothing")) == Recipe()


MMMC = {"small_mmmc", "demo", "mmmc_r50_1x", "mmmc_r50_2x", "mmmc_r101_2x", "mmmc_x101_2x"}


@pytest.mark.parametrize("name", sorted(MMMC))
def test_mmmc_as_it_is_proposed(name: str) -> None:
    recipe = load_recipe(name)
    own = {"demo": {"class_loss": "bce"}, "small_mmmc": {"range_strides": 4.0, "square_strides": 4.0}}
    assert recipe.assigner == APS(**own.get(name, {}))
    assert (recipe.model.rfa.class_position, recipe.model.rfa.box_position, recipe.model.rfa.kind) == (
        1,
        1,
        "deformable",
    )
    # The embedded set's choice begins with FCOS's ranges; all others never see a range.
    assert (recipe.warm_start.assigner is None) == (name != "demo")
    assert recipe.model.box_bias == 2.0
    assert recipe.criterion == DenseCriterion(quality_target="giou")
    base = {"small_mmmc": "small", "demo": "demo_fcos", "mmmc_r50_1x": "fcos_r50_1x"}.get(name, "fcos_r50_2x")
    plain = load_recipe(base)
    backbone = {"mmmc_r101_2x": "resnet101.tv_in1k", "mmmc_x101_2x": "resnext101_64x4d.tv_in1k"}
    added = {"rfa": recipe.model.rfa, "box_bias": recipe.model.box_bias}
    assert recipe.model == replace(plain.model, **added, backbone=backbone.get(name, plain.model.backbone))
    # All else is the baseline's.
    assert replace(recipe, model=plain.model, assigner=plain.assigner, warm_start=plain.warm_start) == plain


def test_a_warm_start_in_a_file_and_back(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "base: demo\nwarm_start: {assigner: {init_args: {center_radius: 2}}, share: 0.5}")
    recipe = load_recipe(file)
    assert recipe.warm_start == WarmStart(FCOS(4.0, 2.0), share=0.5)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(recipe))
    assert load_recipe(again) == recipe
    none = write(tmp_path / "b.yaml", "base: demo\nwarm_start: {assigner: null}")
    assert load_recipe(none).warm_start.assigner is None
    assert len({digest(load_recipe(each)) for each in (file, none, "demo")}) == 3


def by_flags(recipe: str, *flags: str) -> Recipe:
    parser = recipe_parser()
    set_recipe(parser, recipe, flags)
    return instantiate(parser, parser.parse_args(list(flags)))


def test_a_flag_that_names_another_class_takes_nothing_from_the_recipes_own(tmp_path: Path) -> None:
    """Both have a `center_radius`; that of the recipe's APS says nothing about FCOS."""
    file = write(tmp_path / "a.yaml", "base: small_mmmc\nassigner: {init_args: {center_radius: 3.5, rule: c}}")
    for flags in (["--assigner", "FCOS"], ["--assigner=FCOS"], ["--assigner", "mmmc.assign.FCOS"]):
        assert by_flags(str(file), *flags).assigner == FCOS()
    assert by_flags(str(file), "--assigner", "FCOS", "--assigner.range_strides", "4").assigner == FCOS(4.0)
    aps = APS(center_radius=3.5, rule="c", range_strides=4.0, square_strides=4.0)
    assert by_flags(str(file), "--assigner", "APS").assigner == aps
    assert by_flags(str(file), "--assigner.rule", "a").assigner == replace(aps, rule="a")
    assert by_flags("small", "--warm_start.assigner", "APS").warm_start.assigner == APS()
    square = by_flags("demo", "--warm_start.assigner", "APS", "--warm_start.assigner.level_stat", "square")
    assert square.warm_start.assigner == APS(level_stat="square")
    assert by_flags("demo", "--warm_start.assigner", "null").warm_start.assigner is None
    assert by_flags("demo", "--warm_start.assigner.center_radius", "2").warm_start.assigner == FCOS(4.0, 2.0)
