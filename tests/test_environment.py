"""What a run ran on, also where mmmc runs from its source and nothing is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest
import torch

from mmmc import environment
from mmmc.cli import main


def test_versions_are_those_of_the_packages() -> None:
    found = environment.environment()
    assert found["packages"]["torch"] == version("torch")
    assert found["threads"] == torch.get_num_threads()
    assert environment.own_version() == version("mmmc") == found["packages"]["mmmc"]


def test_what_is_not_installed_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(environment, "version", missing)
    assert set(environment.environment()["packages"].values()) == {None}
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "mmmc unknown\n"
