"""`mmmc train`, `mmmc data`, `mmmc recipes`, `mmmc study`: from nothing to a table."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import TINY

from mmmc.assign import FCOS
from mmmc.cli import main
from mmmc.cli import train as verb
from mmmc.errors import InputError
from mmmc.recipe import load_recipe, recipe_names
from mmmc.recipe.reading import to_dict


def test_a_run_folder_holds_all_there_is(tiny_run: Path, tiny_set: Path) -> None:
    files = {str(path.relative_to(tiny_run)) for path in tiny_run.rglob("*") if path.is_file()}
    pictures = {f"pictures/{name}.png" for name in ("curves", "labels", "losses", "objects", "predictions")}
    texts = {"README.md", "recipe.yaml", "metrics.jsonl", "environment.json", "record.json"}
    assert files == pictures | texts | {"best.safetensors", "last.safetensors", "checkpoint.pt"}
    recipe = load_recipe(tiny_run / "recipe.yaml")
    assert recipe.data.path == str(tiny_set)
    assert (recipe.model.backbone, recipe.train.epochs, recipe.optimizer.kind) == ("test_efficientnet", 1, "adamw")


class Stop(InputError):
    """Ends the command where training would begin."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `mmmc.train` is called with; it does not train."""
    calls: dict[str, Any] = {}

    def stand_in(recipe: object, out: Path, **options: Any) -> None:
        calls.update(options, recipe=recipe, out=out)
        raise Stop("stop")

    monkeypatch.setattr(verb, "train", stand_in)
    return calls


def test_what_the_flags_mean(asked: dict[str, Any]) -> None:
    flags = [
        "--recipe",
        "demo_fcos",
        "--time",
        "1.5h",
        "--devices",
        "2",
        "--nodes",
        "3",
        "--init",
        "other",
        "--quiet",
        "true",
    ]
    assert main(["train", "sets/cells", *flags, "--train.seed", "5", "--assigner.range_strides", "3"]) == 2
    assert asked["out"] == Path("runs/demo_fcos-cells-5")
    assert (asked["time_budget"], asked["devices"], asked["nodes"], asked["init"]) == (5400, 2, 3, "other")
    assert (asked["accelerator"], asked["quiet"]) == ("auto", True)
    wanted = {"data": {"path": "sets/cells"}, "train": {"seed": 5}}
    assigner = {"class_path": "mmmc.assign.FCOS", "init_args": {"range_strides": 3.0}}
    assert asked["recipe"] == load_recipe("demo_fcos", {**wanted, "assigner": assigner})


def as_flags(value: Any, name: str = "-") -> list[str]:
    """Every option of a recipe's content as a flag, without the classes that it names."""
    match value:
        case {"init_args": options} | ({} as options):
            return [word for key, inner in options.items() for word in as_flags(inner, f"{name}.{key}")]
        case None:
            return []
    return [name.replace("-.", "--", 1), value if isinstance(value, str) else json.dumps(value)]


@pytest.mark.parametrize("name", recipe_names())
def test_every_option_of_every_recipe_is_a_flag(asked: dict[str, Any], name: str) -> None:
    """Also those of its own assigner, criterion and part."""
    recipe = load_recipe(name, {"data": {"path": "cells"}})
    flags = as_flags(to_dict(recipe))
    assert len(flags) > 150
    assert main(["train", *flags, f"--recipe={name}"]) == 2
    assert asked["recipe"] == recipe


def test_options_of_the_recipes_own_classes_may_be_others(asked: dict[str, Any]) -> None:
    assert main(["train", "cells", "--assigner.rule", "b", "--recipe", "small_mmmc", "--criterion.alpha", "0.3"]) == 2
    changes = {"assigner": {"init_args": {"rule": "b"}}, "criterion": {"init_args": {"alpha": 0.3}}}
    assert asked["recipe"] == load_recipe("small_mmmc", {**changes, "data": {"path": "cells"}})


@dataclass(frozen=True)
class Mine(FCOS):
    """A stranger's assigner."""

    pull: float = 0.5


@pytest.mark.parametrize("path", [f"{__name__}:Mine", f"{__name__}.Mine"])
def test_a_strangers_assigner(asked: dict[str, Any], path: str) -> None:
    assert main(["train", "cells", "--assigner", path, "--assigner.pull", "2"]) == 2
    assert asked["recipe"].assigner == Mine(pull=2.0)
    assert main(["train", "cells", f"--assigner={path}"]) == 2
    assert asked["recipe"].assigner == Mine()


@pytest.mark.usefixtures("asked")
def test_a_rule_without_the_rest_of_its_method_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = "puts the rule of {} alone into {}, with its published options; as a whole method it is --recipe {}."
    for flags, expected in (
        (["--assigner", "AutoAssign"], ("AutoAssign", "small", "small_auto_assign")),
        (["--assigner", "ATSS"], ("ATSS", "small", "small_atss or small_gfl or small_vfl")),
        (["--assigner", "ATSS", "--assigner.square_strides", "4"], None),  # which is small_atss
        (["--recipe", "small_atss", "--assigner.topk", "3"], None),
        (["--assigner", f"{__name__}:Mine"], None),
    ):
        assert main(["train", "cells", *flags]) == 2
        assert (
            capsys.readouterr().err
            == ("" if expected is None else f"--assigner {told.format(*expected)}\n") + "mmmc: stop\n"
        )


def test_small_is_the_recipe_by_default(asked: dict[str, Any]) -> None:
    assert main(["train", "cells"]) == 2
    assert asked["recipe"] == load_recipe("small", {"data": {"path": "cells"}})
    assert (asked["out"], asked["time_budget"], asked["devices"]) == (Path("runs/small-cells-0"), None, "auto")


@pytest.mark.parametrize("flags", [["--data", "sets/cells"], ["--data=sets/cells"]])
def test_the_set_may_be_named_as_other_verbs_have_it(asked: dict[str, Any], flags: list[str]) -> None:
    assert main(["train", *flags]) == 2
    assert asked["recipe"].data.path == "sets/cells"


def test_help_is_the_commands_own_flags_and_the_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "cells", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--out OUT" in told
    assert "  optimizer     how weights move.\n" in told
    assert "--train.batch_size" not in told
    assert len(told.splitlines()) < 70


def test_help_of_a_section_has_the_values_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-h", "resize"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--resize.long LONG … unless the longer side" in told
    assert "(type: int, default: 320)" in told
    assert "--out" not in told
    assert main(["train", "--recipe", "small_mmmc", "--help", "assigner"]) == 0
    assert "{'class_path': 'mmmc.assign.APS'" in " ".join(capsys.readouterr().out.split())
    assert main(["train", "--help", "all"]) == 0
    told = capsys.readouterr().out
    assert all(f"--{name} " in told for name in ("out", "train.batch_size", "postprocess.nms"))


def test_resume_needs_nothing_but_the_folder(asked: dict[str, Any]) -> None:
    assert main(["train", "--resume", "runs/a", "--accelerator", "cpu"]) == 2
    assert (asked["recipe"], asked["out"], asked["resume"]) == (None, Path("runs/a"), True)


@pytest.mark.parametrize("flag", ["--accelerator", "--device"])
def test_a_gpu_that_is_not_there(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "out"
    assert main(["train", str(tiny_set), "--out", str(out), *TINY, flag, "cuda"]) == 2
    message = "mmmc: There is no CUDA device that PyTorch can use here. Allowed: accelerator cpu, or auto.\n"
    assert capsys.readouterr().err == message
    assert not out.exists()


def test_who_interrupts_a_training_is_told_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "train", interrupted)
    out = tmp_path / "a run"
    assert main(["train", "cells", "--out", str(out)]) == 130
    assert capsys.readouterr().err == "mmmc: interrupted.\n", "nothing was begun"

    out.mkdir()
    (out / "checkpoint.pt").touch()
    for arguments in (["cells", "--out", str(out)], ["--resume", str(out)]):
        assert main(["train", *arguments]) == 130
        told = f"After its last finished epoch the run goes on by: mmmc train --resume '{out}'\n"
        assert capsys.readouterr().err == f"{told}mmmc: interrupted.\n"


def test_data_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "make", str(tmp_path / "set"), "--train", "2", "--val", "1", "--seed", "4"]) == 0
    assert capsys.readouterr().out == f"2 + 1 pictures: {tmp_path / 'set'}\n"
    names = ["train_00000.png", "train_00001.png", "val_00000.png"]
    assert sorted(path.name for path in (tmp_path / "set/images").iterdir()) == names


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    assert capsys.readouterr().out.split() == recipe_names()


def test_a_recipe_is_printed_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "small"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "again.yaml").write_text(printed)
    assert load_recipe(tmp_path / "again.yaml") == load_recipe("small")
    assert "  gamma: 0.1\n" in printed, "defaults are printed, too"


@pytest.mark.parametrize(
    ("record", "message"), [("[]", "record.json holds no JSON object"), ("{}", "record.json: missing name")]
)
def test_a_record_that_is_none_is_not_collected(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], record: str, message: str
) -> None:
    edited = Path(shutil.copytree(tiny_run, tmp_path / "edited"))
    (edited / "record.json").write_text(record)
    assert main(["study", "collect", str(edited), "--records", str(tmp_path / "records.jsonl")]) == 2
    assert message in capsys.readouterr().err


def test_records_become_a_table(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = tmp_path / "records.jsonl"
    for _ in range(2):  # a run that is collected again takes its own place
        assert main(["study", "collect", str(tiny_run), "--name", "tiny FCOS", "--records", str(records)]) == 0
    assert len(records.read_text().splitlines()) == 1
    capsys.readouterr()
    assert main(["study", "table", str(records)]) == 0
    metrics = json.loads((tiny_run / "record.json").read_text())["metrics"]
    cells = [f"{100 * metrics[name]:.1f} (n = 1)" for name in ("AP", "AP50", "AP75")]
    assert f"| tiny | tiny FCOS | {' | '.join(cells)} | 0 |" in capsys.readouterr().out
    assert main(["study", "table", str(records), "--metrics", "AR1,AR100"]) == 0
    cells = [f"{100 * metrics[name]:.1f} (n = 1)" for name in ("AR1", "AR100")]
    assert f"| tiny | tiny FCOS | {' | '.join(cells)} | 0 |" in capsys.readouterr().out
    assert main(["study", "table", str(records), "--metrics", "APx"]) == 2
    assert "lacks the metric 'APx'; it has AP," in capsys.readouterr().err
