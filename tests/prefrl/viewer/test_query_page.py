"""The query page, text pages and statistics at any window size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.labelling.controller import HELP, QueryCaption
from prefrl.labelling.rendering import Item, Text
from prefrl.labelling.status import LabellingStats
from prefrl.viewer.drawing import Box, text_width, wrap
from prefrl.viewer.layout import page_layout
from prefrl.viewer.query_page import BUTTONS, QueryPage
from prefrl.viewer.scaling import fit_items
from prefrl.viewer.stats_panel import draw_stats_panel
from prefrl.viewer.text_page import draw_text_page

SIZES = st.tuples(st.integers(200, 2600), st.integers(160, 1600))
CAPTION = QueryCaption("Which is better?")


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(size=SIZES, count=st.integers(2, 9))
def test_boxes_do_not_overlap_and_lie_within_the_window(size: tuple[int, int], count: int) -> None:
    layout = page_layout(size, count)
    boxes = [*layout.items, layout.question, layout.legend, *([layout.stats] if layout.stats else [])]
    assert len(layout.items) == count
    for index, box in enumerate(boxes):
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]
        assert not any(overlap(box, other) for other in boxes[:index])


def test_two_clips_are_side_by_side_in_a_wide_window_and_stacked_in_a_high_one() -> None:
    wide, high = page_layout((1200, 600), 2).items, page_layout((500, 1000), 2).items
    assert wide[0][1] == wide[1][1]
    assert high[0][0] == high[1][0]


def page(size: tuple[int, int], items: tuple[Item, ...], caption: QueryCaption = CAPTION) -> QueryPage:
    return QueryPage(size, page_layout(size, len(items)), items, caption)


@settings(max_examples=12, deadline=None)
@given(size=SIZES, count=st.integers(2, 6))
def test_a_page_has_the_window_s_size_and_room_for_every_clip(size: tuple[int, int], count: int) -> None:
    boxes = page_layout(size, count).items
    clips = fit_items([np.zeros((1, 210, 160, 3), np.uint8)] * count, boxes)
    drawn = page(size, clips)
    assert drawn.picture.shape == (size[1], size[0], 3)
    for (left, top), item, box in zip(drawn.corners, clips, boxes, strict=True):
        assert isinstance(item, np.ndarray)
        assert box[0] <= left <= left + item.shape[2] <= box[2]
        assert box[1] <= top <= top + item.shape[1] <= box[3]


def test_common_window_sizes_show_all_buttons_without_overlap() -> None:
    items = tuple(np.zeros((1, 60, 60, 3), np.uint8) for _ in range(2))
    for size in ((1200, 675), (640, 400), (2560, 1440)):
        buttons = page(size, items).buttons
        assert set(buttons) == {button.key for button in BUTTONS}
        boxes = list(buttons.values())
        assert not any(overlap(one, other) for one in boxes for other in boxes if one is not other)
    assert "return" in page((1200, 675), (*items, items[0])).buttons


def test_texts_have_no_playback_buttons() -> None:
    buttons = page((1200, 675), (Text("a", "b"), Text("a", "c"))).buttons
    assert {button.key for button in BUTTONS} - set(buttons) == {"space", "p", "-", "+"}


def test_ranks_marks_and_notes_are_drawn() -> None:
    clips = tuple(np.zeros((1, 60, 60, 3), np.uint8) for _ in range(3))
    plain = page((900, 600), clips).picture
    for caption in (
        QueryCaption("Which is better?", ranked=(1,)),
        QueryCaption("Which is better?", marked=(2,)),
        QueryCaption("Which is better?", note="You answered: 1 > 2"),
    ):
        assert (page((900, 600), clips, caption).picture != plain).any()


def test_a_long_text_shrinks_and_is_cut_off_within_its_box() -> None:
    size = (900, 500)
    left, top, right, bottom = page_layout(size, 2).items[0]
    for words in (30, 300, 3000):
        picture = page(size, (Text("Why?", "because " * words), Text("Why?", "so"))).picture
        ink = np.flatnonzero((picture[top:, left:right] < 100).any(axis=(1, 2)))
        assert ink[ink < bottom - top].max() > 20
        below = picture[bottom + 1 : bottom + 5, left:right]
        assert (below > 200).all()


@given(text=st.text(alphabet="abc de\n", max_size=200), room=st.integers(30, 400))
def test_wrapped_lines_fit_and_keep_all_letters(text: str, room: int) -> None:
    lines = wrap(text, 12, room)
    assert all(text_width(line, 12) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")


@settings(max_examples=10, deadline=None)
@given(size=SIZES)
def test_text_pages_fill_windows_of_any_size(size: tuple[int, int]) -> None:
    picture = draw_text_page(size, "Keys", HELP, "Any key to continue")
    assert picture.shape == (size[1], size[0], 3)
    assert (picture < 100).any()


STATS = LabellingStats(12, 120, 136, 200, 23.4, 12.0, (0.5, 0.7, 0.85), "acting", 5625, 50_000)


@pytest.mark.parametrize("size", [(300, 700), (200, 60), (240, 300)])
def test_the_statistics_have_the_requested_size(size: tuple[int, int]) -> None:
    assert draw_stats_panel(STATS, size, 16).shape == (size[1], size[0], 3)


def test_unknown_values_and_pauses_are_drawn_differently() -> None:
    early = LabellingStats(0, 0, 0, 200, None, None, (), "waiting", 0, 50_000)
    assert (draw_stats_panel(early, (300, 700), 16) != draw_stats_panel(STATS, (300, 700), 16)).any()
    paused = draw_stats_panel(STATS, (300, 700), 16, is_paused=True)
    assert (paused != draw_stats_panel(STATS, (300, 700), 16)).any()
