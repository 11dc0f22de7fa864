"""`mmmc assigners`: what is there, and what each does."""

from __future__ import annotations

import pytest

from mmmc.assign import ASSIGNERS
from mmmc.cli import main
from mmmc.cli.assigners import page


def test_the_list_names_all_with_source_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners"]) == 0
    said = capsys.readouterr().out
    for name in ASSIGNERS:
        assert f"│ {name} " in said
    assert "│ Assigner " not in said
    assert "Kim and" in said


def test_one_prints_its_page_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ATSS", "atss"):
        assert main(["assigners", name]) == 0
        said = capsys.readouterr().out
        assert "Zhang et al. 2020" in said
        assert "square_strides" in said
        assert "AP 39.3" in said
        assert said.endswith("Defaults: topk=9, square_strides=8.0\n")


@pytest.mark.parametrize("name", sorted(ASSIGNERS))
def test_every_assigner_has_a_page_with_all_its_options(name: str) -> None:
    text = page(ASSIGNERS[name])
    assert text.startswith("# ")
    for part in ("**Idea.**", "**Published.**") if name not in ("APS", "FCOS") else ():
        assert part in text
    for option in ASSIGNERS[name].__dataclass_fields__:  # type: ignore[attr-defined]
        assert f"`{option}" in text, option
    assert "![" not in text


def test_an_unknown_name_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners", "ATTS"]) == 2
    assert "There is no assigner 'ATTS'. Did you mean 'ATSS'?" in capsys.readouterr().err
