"""A predictor goes to a hub and comes back: by folders, and by a hub that is another folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import mmmc
from mmmc import InputError, Predictor
from mmmc.checkpoint import load_weights
from mmmc.cli import main

FILES = {"README.md", "config.json", "environment.json", "model.safetensors", "recipe.yaml"}


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is needed of a run, with weights that tell the last from the best."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("best.safetensors", "recipe.yaml", "environment.json", "README.md"):
        shutil.copy(tiny_run / name, folder)
    return folder


def same(one: Predictor, other: Predictor) -> None:
    picture = torch.randint(256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (left,), (right,) = one([picture]), other([picture])
    assert len(left) > 5
    assert torch.equal(left.boxes, right.boxes)
    assert torch.equal(left.scores, right.scores)


def test_a_folder_holds_all_and_is_loaded_as_a_run(run: Path, tiny_set: Path, tmp_path: Path) -> None:
    predictor = mmmc.load(run)
    predictor.save_pretrained(tmp_path / "a")
    assert {file.name for file in (tmp_path / "a").iterdir()} == FILES
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert config["weights"] == "best"
    assert config["classes"]["1"] == predictor.categories.names[0]
    for name in ("README.md", "environment.json"):
        assert (tmp_path / "a" / name).read_text() == (run / name).read_text()
    again = Predictor.from_pretrained(tmp_path / "a", device="cpu")
    same(again, predictor)
    same(mmmc.load(tmp_path / "a"), predictor)
    # Once more from there: nothing gets lost on the way.
    again.save_pretrained(tmp_path / "b")
    same(mmmc.load(tmp_path / "b"), predictor)
    for name in FILES - {"model.safetensors"}:
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes(), name
    out = tmp_path / "found"
    assert main(["predict", str(tmp_path / "b"), str(next((tiny_set / "images").iterdir())), "--out", str(out)]) == 0


def test_places_on_this_machine_stay_here(run: Path, tmp_path: Path) -> None:
    predictor = mmmc.load(run)
    place = Path(predictor.recipe.data.path or "")
    assert place.is_absolute()
    predictor.save_pretrained(tmp_path / "a")
    assert mmmc.load_recipe(tmp_path / "a/recipe.yaml").data.path == place.name
    for file in (tmp_path / "a").iterdir():
        assert str(place.parent).encode() not in file.read_bytes(), file.name
    assert predictor.recipe.data.path == str(place)


def test_weights_alone_get_a_short_card(run: Path, tmp_path: Path) -> None:
    mmmc.load(run / "best.safetensors").save_pretrained(tmp_path / "a")
    assert {file.name for file in (tmp_path / "a").iterdir()} == FILES - {"environment.json"}
    card = (tmp_path / "a/README.md").read_text()
    assert "library_name: mmmc" in card
    assert "pipeline_tag: object-detection" in card
    assert json.loads((tmp_path / "a/config.json").read_text())["weights"] is None


def test_push_and_fetch(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a hub that is a folder."""
    hub = tmp_path / "hub"

    def upload(*, repo_id: str, folder_path: Path, **_: object) -> str:
        shutil.copytree(folder_path, hub / repo_id)
        return repo_id

    api = SimpleNamespace(create_repo=lambda repo_id, **_: SimpleNamespace(repo_id=repo_id), upload_folder=upload)
    asked = []

    def fetch(repo_id: str, filename: str, *, revision: str | None = None, **_: object) -> str:
        asked.append((filename, revision))
        if not (hub / repo_id).is_dir():
            raise FileNotFoundError(f"no repository {repo_id}")
        return str(hub / repo_id / filename)

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", lambda **_: api)
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.hf_hub_download", lambda repo_id, filename, **_: str(hub / repo_id / filename)
    )
    monkeypatch.setattr("mmmc.predictor.hf_hub_download", fetch)
    predictor = mmmc.load(run)
    assert predictor.push_to_hub("me/cells", private=True) == "me/cells"
    assert {file.name for file in (hub / "me/cells").iterdir()} == FILES
    same(Predictor.from_pretrained("me/cells", revision="v1"), predictor)
    assert asked == [("model.safetensors", "v1")]


def test_what_cannot_be_loaded_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"empty is no finished run and no folder of a hub: no best\.safetensors, no model"
    ):
        Predictor.from_pretrained(tmp_path / "empty")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="nobody/nothing is no folder and could not be had from the hub"):
        Predictor.from_pretrained("nobody/nothing", cache_dir=tmp_path, local_files_only=True)
    # The recipe inside the file is the one beside it.
    mmmc.load(run).save_pretrained(tmp_path / "a")
    inside = load_weights(tmp_path / "a/model.safetensors").recipe
    assert inside == mmmc.load_recipe(tmp_path / "a/recipe.yaml")
