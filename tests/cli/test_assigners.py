"""`mmmc assigners`: what is there, and what each does."""

from __future__ import annotations

import pytest

from mmmc.cli import main


def test_the_list_names_all_with_source_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners"]) == 0
    said = capsys.readouterr().out
    for name in ("APS", "ATSS", "DynamicSoftLabel", "FCOS", "MaxIoU", "OTA", "PAA", "SimOTA", "TAL"):
        assert f"│ {name} " in said
    assert "│ Assigner " not in said
    assert "Kim and" in said


def test_one_prints_its_rule_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners", "ATSS"]) == 0
    said = capsys.readouterr().out
    assert "Zhang et al. 2020" in said
    assert "square_strides: side of the virtual square" in said
    assert said.endswith("Defaults: topk=9, square_strides=8.0\n")


def test_an_unknown_name_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners", "ATTS"]) == 2
    assert "There is no assigner 'ATTS'. Did you mean 'ATSS'?" in capsys.readouterr().err
