from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmmc.draw.lettering import fit, font, place, shorten


def test_shorten_gives_one_line_and_shows_the_cut():
    assert shorten("two\n words") == "two words"
    assert shorten("abcdefgh", 5) == "abcd…"
    assert shorten("abcde", 5) == "abcde"
    # A control character and half of a surrogate pair, as JSON may hold them.
    assert shorten("a\x00b\ud800c") == "a b c"


@given(st.text(min_size=1, max_size=40), st.integers(1, 200))
def test_fitted_text_is_no_wider_than_its_room(text, width):
    line = fit(text, 12, width)
    assert font(12).getlength(line) <= width


@given(
    st.lists(
        st.tuples(st.floats(-20, 90), st.floats(-20, 90), st.floats(1, 50), st.floats(1, 50)), min_size=1, max_size=8
    )
)
def test_labels_lie_in_the_picture(corners):
    plates = place([(x, y, x + w, y + h) for x, y, w, h in corners], [(30.0, 12.0)] * len(corners), (80, 100))
    assert len(plates) == len(corners)
    for x1, y1, x2, y2 in plates:
        assert 0 <= x1 < x2 <= 100 + 1e-9
        assert 0 <= y1 < y2 <= 80 + 1e-9


def test_a_label_stands_above_its_box_and_gives_way_to_an_earlier_one():
    box = (20.0, 30.0, 60.0, 50.0)
    assert place([box], [(30.0, 12.0)], (80, 100)) == [(20, 18, 50, 30)]
    # Above at either edge the second one would cover the first: it goes below.
    assert place([box, box], [(30.0, 12.0)] * 2, (80, 100))[1] == (20, 50, 50, 62)
