"""Tables of Markdown."""

from __future__ import annotations

from markdown_it import MarkdownIt

from mmmc.markdown import markdown_table


def test_cells_and_rules_stand_in_lines() -> None:
    told = markdown_table(["set", "AP", "AP50"], [["bccd", 57.1, "88.9"]], "lr")
    assert told == "| set | AP | AP50 |\n| --- | ---: | ---: |\n| bccd | 57.1 | 88.9 |\n"


def test_a_bar_within_a_cell_does_not_begin_another() -> None:
    r"""As a reader of Markdown sees it, in text and in code; what is `\|` already is left so."""
    told = markdown_table(["name", "again"], [["FCOS | ours", "`mmmc --only 'FCOS | ours'`"], [r"a \| b", "–"]], "l")
    html = MarkdownIt().enable("table").render(told)
    assert html.count("<td>") == 4
    assert "<td>FCOS | ours</td>" in html
    assert "<td><code>mmmc --only 'FCOS | ours'</code></td>" in html
    assert "<td>a | b</td>" in html
