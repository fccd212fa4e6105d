"""Pages of any size: everything has its place, and says what it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.labelling.rendering import Item, Text, fit
from prefrl.viewer.drawing import Box, text_width, wrap
from prefrl.viewer.layout import lay_out
from prefrl.viewer.panel import LabellingStats, draw_panel
from prefrl.viewer.query_page import BUTTONS, PageState, QueryPage
from prefrl.viewer.text_page import HELP, draw_text_page

SIZES = st.tuples(st.integers(200, 2600), st.integers(160, 1600))
STATE = PageState("Which is better?")


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(size=SIZES, count=st.integers(2, 9))
def test_nothing_lies_on_anything_else_or_outside(size: tuple[int, int], count: int) -> None:
    layout = lay_out(size, count)
    boxes = [*layout.items, layout.question, layout.legend, *([layout.panel] if layout.panel else [])]
    assert len(layout.items) == count
    for index, box in enumerate(boxes):
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]
        assert not any(overlap(box, other) for other in boxes[:index])


def test_two_clips_lie_side_by_side_where_the_window_is_wide_and_below_each_other_where_it_is_high() -> None:
    wide, high = lay_out((1200, 600), 2).items, lay_out((500, 1000), 2).items
    assert wide[0][1] == wide[1][1]
    assert high[0][0] == high[1][0]


@pytest.mark.parametrize("shape", [(210, 160), (50, 50), (400, 600), (9, 300)])
@pytest.mark.parametrize("room", [(100, 100), (333, 200), (1000, 900)])
def test_frames_fit_and_keep_their_shape(shape: tuple[int, int], room: tuple[int, int]) -> None:
    height, width = fit(np.zeros((2, *shape, 3), np.uint8), room).shape[1:3]
    assert height <= room[1]
    assert width <= room[0]
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.1)
    # Of the room half is used at least, in one direction.
    assert max(height / room[1], width / room[0]) > 0.5


def test_pixel_art_keeps_its_edges() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit(frames, (12, 13)), frames.repeat(3, axis=1).repeat(3, axis=2))
    # By no whole number either: every pixel is one of the frame's.
    assert {tuple(pixel) for pixel in fit(frames, (14, 14)).reshape(-1, 3)} == {
        tuple(pixel) for pixel in frames.reshape(-1, 3)
    }


def page(size: tuple[int, int], items: tuple[Item, ...], state: PageState = STATE) -> QueryPage:
    return QueryPage(size, lay_out(size, len(items)), items, state)


@settings(max_examples=12, deadline=None)
@given(size=SIZES, count=st.integers(2, 6))
def test_a_page_has_the_window_s_size_and_a_place_for_every_clip(size: tuple[int, int], count: int) -> None:
    boxes = lay_out(size, count).items
    films = tuple(
        fit(np.zeros((1, 210, 160, 3), np.uint8), (box[2] - box[0], box[3] - box[1])) for box in boxes
    )
    drawn = page(size, films)
    assert drawn.picture.shape == (size[1], size[0], 3)
    for (left, top), item, box in zip(drawn.corners, films, boxes, strict=True):
        assert box[0] <= left <= left + item.shape[2] <= box[2]
        assert box[1] <= top <= top + item.shape[1] <= box[3]


def test_every_button_is_there_in_an_ordinary_window_and_none_lies_on_another() -> None:
    items = tuple(np.zeros((1, 60, 60, 3), np.uint8) for _ in range(2))
    for size in ((1200, 675), (640, 400), (2560, 1440)):
        buttons = page(size, items).buttons
        assert set(buttons) == {button.key for button in BUTTONS}
        boxes = list(buttons.values())
        assert not any(overlap(one, other) for one in boxes for other in boxes if one is not other)
    assert "return" in page((1200, 675), (*items, items[0])).buttons


def test_texts_are_not_played() -> None:
    buttons = page((1200, 675), (Text("a", "b"), Text("a", "c"))).buttons
    assert {button.key for button in BUTTONS} - set(buttons) == {"space", "p", "-", "+"}


def test_what_was_ranked_or_answered_is_marked() -> None:
    films = tuple(np.zeros((1, 60, 60, 3), np.uint8) for _ in range(3))
    plain = page((900, 600), films).picture
    for state in (
        PageState("Which is better?", ranked=(1,)),
        PageState("Which is better?", marked=(2,)),
        PageState("Which is better?", note="You answered: 1 > 2"),
    ):
        assert (page((900, 600), films, state).picture != plain).any()


def test_a_text_too_long_for_its_box_is_set_smaller_then_cut_off_within_it() -> None:
    size = (900, 500)
    left, top, right, bottom = lay_out(size, 2).items[0]
    for words in (30, 300, 3000):
        picture = page(size, (Text("Why?", "because " * words), Text("Why?", "so"))).picture
        ink = np.flatnonzero((picture[top:, left:right] < 100).any(axis=(1, 2)))
        assert ink[ink < bottom - top].max() > 20
        below = picture[bottom + 1 : bottom + 5, left:right]
        assert (below > 200).all()


@given(text=st.text(alphabet="abc de\n", max_size=200), room=st.integers(30, 400))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, room: int) -> None:
    lines = wrap(text, 12, room)
    assert all(text_width(line, 12) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")


@settings(max_examples=10, deadline=None)
@given(size=SIZES)
def test_text_pages_fill_windows_of_any_size(size: tuple[int, int]) -> None:
    picture = draw_text_page(size, "Keys", HELP, "Any key to go on")
    assert picture.shape == (size[1], size[0], 3)
    assert (picture < 100).any()


FIGURES = LabellingStats(12, 120, 136, 200, 23.4, 12.0, (0.5, 0.7, 0.85), "acting", 5625, 50_000)


@pytest.mark.parametrize("size", [(300, 700), (200, 60), (240, 300)])
def test_the_panel_has_the_size_asked_for(size: tuple[int, int]) -> None:
    assert draw_panel(FIGURES, size, 16).shape == (size[1], size[0], 3)


def test_what_is_not_known_yet_is_no_number() -> None:
    early = LabellingStats(0, 0, 0, 200, None, None, (), "waiting", 0, 50_000)
    assert (draw_panel(early, (300, 700), 16) != draw_panel(FIGURES, (300, 700), 16)).any()
    paused = draw_panel(FIGURES, (300, 700), 16, is_paused=True)
    assert (paused != draw_panel(FIGURES, (300, 700), 16)).any()
