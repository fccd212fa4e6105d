"""Every key and page of the labelling window, on a screen of numpy and a clock that stands still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prefrl.labelling.instructions import Instructions
from prefrl.labelling.rendering import Item, Text
from prefrl.labelling.session import PreparedQuery, Ranks
from prefrl.viewer.events import Click, Close, Key, Resize
from prefrl.viewer.labelling import Labelling, LabellingStatus, Page
from prefrl.viewer.layout import lay_out
from prefrl.viewer.panel import LabellingStats

SIZE = 640, 360
FIGURES = LabellingStats(0, 3, 10, 20, None, None, (), "acting", 100, 1000)
STEPS = 10
FPS = 10.0


class Screen:
    def __init__(self) -> None:
        self.size = SIZE
        self.picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        self.updates = 0

    def paste(self, picture: np.ndarray, corner: tuple[int, int]) -> None:
        left, top = corner
        target = self.picture[top : top + len(picture), left : left + picture.shape[1]]
        target[:] = picture[: target.shape[0], : target.shape[1]]

    def update(self) -> None:
        self.updates += 1


class FakeDesk:
    """Queries 1, 2, 3 ... as a list; the next is there at once unless told otherwise."""

    def __init__(self, exhibits: list[PreparedQuery]) -> None:
        self.waiting, self.brought_back = exhibits, list[PreparedQuery]()
        self.answers: list[tuple[int, Ranks, float]] = []
        self.is_away, self.is_bringing_back, self.size = True, False, SIZE

    @property
    def current(self) -> PreparedQuery | None:
        return (self.brought_back + self.waiting or [None])[0]  # type: ignore[list-item]

    @property
    def can_undo(self) -> bool:
        return bool(self.answers)

    def answer(self, exhibit: PreparedQuery, ranks: Ranks, latency_s: float) -> None:
        self.answers.append((exhibit.query_id, ranks, latency_s))
        self.done = exhibit
        self.go_on(exhibit)

    def undo(self) -> None:
        self.brought_back = [replace(self.done, is_again=True, earlier=self.answers[-1][1])]

    def go_on(self, exhibit: PreparedQuery) -> None:
        self.waiting = [one for one in self.waiting if one.query_id != exhibit.query_id]
        self.brought_back = []


def film(shade: int, steps: int = STEPS) -> np.ndarray:
    """A step's frames are of one shade, one lighter each step."""
    shades = (shade + np.arange(steps)).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (steps, 60, 60, 3)).copy()


def exhibit(query_id: int, *items: Item) -> PreparedQuery:
    items = items or (film(10 * query_id), film(10 * query_id + 100))
    return PreparedQuery(query_id, items, items, SIZE)


class Bench:
    """A labelling window and all around it."""

    def __init__(self, *exhibits: PreparedQuery) -> None:
        self.screen, self.desk, self.now_s = Screen(), FakeDesk(list(exhibits)), 0.0
        self.situation = LabellingStatus(FIGURES, "Collecting the first clips: 12 of 50.")
        self.labelling = Labelling(
            self.screen,
            self.desk,  # type: ignore[arg-type]
            Instructions("Which is better?", "Judge by this."),
            lambda: self.situation,
            FPS,
            away_s=60.0,
            clock=lambda: self.now_s,
        )
        self.labelling.tick()

    def press(self, *keys: str) -> Bench:
        for key in keys:
            self.labelling.handle(Key(key))
            self.labelling.tick()
        return self

    def wait(self, seconds: float) -> Bench:
        self.now_s += seconds
        self.labelling.tick()
        return self

    @property
    def page(self) -> Page:
        return self.labelling.page

    @property
    def given(self) -> list[tuple[int, Ranks]]:
        return [(query_id, ranks) for query_id, ranks, _ in self.desk.answers]

    def shades(self, count: int = 2) -> list[int]:
        """Of the pictures in the middle of the items' boxes."""
        boxes = lay_out(self.screen.size, count).items
        return [int(self.screen.picture[(b[1] + b[3]) // 2, (b[0] + b[2]) // 2, 0]) for b in boxes]


def test_instructions_come_first_and_any_key_turns_to_work() -> None:
    bench = Bench(exhibit(1))
    assert bench.page is Page.INSTRUCTIONS
    assert bench.press("a").page is Page.QUERY
    assert bench.given == []
    assert bench.press("i").page is Page.INSTRUCTIONS


@pytest.mark.parametrize(
    ("key", "ranks"),
    [("left", (1, 2)), ("right", (2, 1)), ("up", (1, 1)), ("down", None), ("1", (1, 2)), ("2", (2, 1))],
)
def test_a_key_answers_and_the_next_query_is_shown_at_once(key: str, ranks: Ranks) -> None:
    bench = Bench(exhibit(1), exhibit(2)).press("a")
    assert bench.shades() == [10, 110]
    bench.press(key)
    assert bench.given == [(1, ranks)]
    assert bench.shades() == [20, 120]


def test_the_time_to_answer_counts_from_when_the_clips_are_seen() -> None:
    bench = Bench(exhibit(1), exhibit(2))
    bench.wait(30.0).press("a").wait(2.0).press("left").wait(3.0).press("right")
    assert [latency_s for _, _, latency_s in bench.desk.answers] == [2.0, 3.0]


def test_digits_rank_the_best_first_and_the_last_place_goes_by_itself() -> None:
    items = [film(shade) for shade in (10, 50, 90, 130)]
    bench = Bench(exhibit(1, *items)).press("a", "3", "1", "1", "9", "left")
    assert bench.given == []
    bench.press("4")
    assert bench.given == [(1, (2, 4, 1, 3))]


@pytest.mark.parametrize("key", ["up", "return"])
def test_the_rest_of_a_ranking_may_tie(key: str) -> None:
    items = [film(shade) for shade in (10, 50, 90, 130)]
    bench = Bench(exhibit(1, *items)).press("a", "3", key)
    assert bench.given == [(1, (2, 2, 1, 2))]


def test_backspace_takes_back_a_rank_before_it_takes_back_an_answer() -> None:
    items = [film(shade) for shade in (10, 50, 90)]
    bench = Bench(exhibit(1), exhibit(2, *items)).press("a", "left", "3", "backspace", "1", "2")
    assert bench.given == [(1, (1, 2)), (2, (1, 2, 3))]


def test_undo_brings_the_last_query_back_and_the_new_answer_follows() -> None:
    bench = Bench(exhibit(1), exhibit(2)).press("a", "left", "backspace")
    assert bench.shades() == [10, 110]
    bench.press("right")
    assert bench.given == [(1, (1, 2)), (1, (2, 1))]
    assert bench.shades() == [20, 120]


def test_a_key_pressed_before_the_undone_query_is_there_answers_nothing() -> None:
    bench = Bench(exhibit(1), exhibit(2)).press("a", "left")
    bench.desk.is_bringing_back = True
    assert bench.press("left").given == [(1, (1, 2))]


def test_a_key_pressed_before_what_is_there_is_seen_answers_nothing() -> None:
    bench = Bench(exhibit(1), exhibit(2)).press("a")
    bench.desk.waiting.pop(0)
    bench.labelling.handle(Key("left"))
    assert bench.given == []
    bench.labelling.tick()
    bench.labelling.handle(Key("left"))
    assert bench.given == [(2, (1, 2))]


def test_keys_pressed_before_the_next_query_is_drawn_answer_nothing() -> None:
    bench = Bench(exhibit(1), exhibit(2), exhibit(3))
    for key in ("a", "left", "left"):
        bench.labelling.handle(Key(key))
    assert bench.given == []
    bench.labelling.tick()
    for key in ("left", "right", "down"):
        bench.labelling.handle(Key(key))
    assert bench.given == [(1, (1, 2))]


def test_keys_after_the_one_that_leaves_answer_nothing() -> None:
    bench = Bench(exhibit(1)).press("a", "q", "left")
    assert bench.given == []


def test_a_digit_that_is_no_number_is_a_key_like_any_other() -> None:
    assert Bench(exhibit(1)).press("a", "²").given == []


def test_what_was_brought_back_may_be_left_as_it_is() -> None:
    bench = Bench(exhibit(1), exhibit(2)).press("a", "left", "backspace", "return")
    assert bench.given == [(1, (1, 2))]
    assert bench.shades() == [20, 120]


def test_enter_answers_nothing_where_nothing_is_ranked() -> None:
    assert Bench(exhibit(1)).press("a", "return", "x", "7").given == []


def test_clips_play_at_their_own_rate_in_step_and_begin_anew() -> None:
    bench = Bench(exhibit(1, film(10), film(100, steps=5))).press("a").wait(0.05)
    seen = [bench.shades()] + [bench.wait(0.1).shades() for _ in range(9)]
    # The shorter one shows its last picture until the other is through.
    assert seen == [[10 + step, 100 + min(step, 4)] for step in range(10)]
    for _ in range(5):
        bench.wait(0.1)
    assert bench.shades() == [10, 100]


@pytest.mark.parametrize(("keys", "after"), [(("+",), 4), (("-",), 1), (("+", "-"), 2), (("+",) * 9, 8)])
def test_plus_and_minus_change_the_speed(keys: tuple[str, ...], after: int) -> None:
    bench = Bench(exhibit(1)).press("a", *keys)
    assert bench.wait(0.21).shades()[0] == 10 + after


def test_p_stops_the_clips_and_space_begins_them_anew() -> None:
    bench = Bench(exhibit(1)).press("a").wait(0.51).press("p").wait(5.0)
    assert bench.shades() == [15, 115]
    bench.press("p").wait(0.1)
    assert bench.shades() == [16, 116]
    assert bench.press("space").shades() == [10, 110]


def test_help_is_left_by_any_key_and_what_was_shown_is_still_there() -> None:
    bench = Bench(exhibit(1)).press("a", "h")
    assert bench.page is Page.HELP
    bench.press("left")
    assert bench.page is Page.QUERY
    assert bench.given == []
    assert bench.press("h", "escape").page is Page.QUERY
    assert not bench.labelling.is_over


@pytest.mark.parametrize("event", [Key("q"), Key("escape"), Close()])
def test_q_escape_and_the_close_button_leave(event: Key | Close) -> None:
    bench = Bench(exhibit(1)).press("a")
    bench.labelling.handle(event)
    assert bench.labelling.is_over
    assert bench.given == []


def test_where_nothing_is_to_be_answered_it_says_what_it_waits_for() -> None:
    bench = Bench().press("a", "left")
    assert bench.page is Page.WAITING
    before = bench.screen.picture.copy()
    bench.situation = LabellingStatus(FIGURES, "Other people are answering the queries there are.")
    bench.wait(1.1)
    assert (bench.screen.picture != before).any()
    bench.desk.waiting = [exhibit(1)]
    assert bench.wait(0.1).page is Page.QUERY
    bench.press("left").wait(0.1)
    assert bench.page is Page.WAITING
    bench.situation = LabellingStatus(FIGURES, "", is_over=True)
    assert bench.wait(1.1).page is Page.OVER


def test_undo_works_while_waiting() -> None:
    bench = Bench(exhibit(1)).press("a", "left")
    assert bench.page is Page.WAITING
    assert bench.press("backspace").page is Page.QUERY
    bench.press("right")
    assert bench.given == [(1, (1, 2)), (1, (2, 1))]


def test_who_does_nothing_for_long_counts_as_gone_until_a_key() -> None:
    bench = Bench(exhibit(1)).press("a").wait(59.0)
    assert bench.page is Page.QUERY
    bench.wait(2.0)
    assert bench.page is Page.AWAY
    assert bench.desk.is_away
    bench.desk.waiting = [exhibit(2)]
    bench.press("left")
    assert not bench.desk.is_away
    assert bench.given == []
    assert bench.shades() == [20, 120]


@pytest.mark.parametrize("keys", [("a", "h"), ("a", "i")])
def test_who_leaves_while_they_read_lets_the_queries_go(keys: tuple[str, ...]) -> None:
    bench = Bench(exhibit(1)).press(*keys)
    assert not bench.desk.is_away
    assert bench.wait(61.0).page is Page.AWAY
    assert bench.desk.is_away


def test_who_comes_back_to_leave_leaves() -> None:
    bench = Bench(exhibit(1)).press("a").wait(61.0)
    assert bench.page is Page.AWAY
    assert bench.press("q").labelling.is_over


def test_nothing_is_taken_from_others_before_the_instructions_are_left() -> None:
    bench = Bench(exhibit(1)).wait(1000.0)
    assert bench.desk.is_away
    assert bench.page is Page.INSTRUCTIONS
    assert not bench.press("a").desk.is_away


def test_who_waits_for_a_query_is_there_when_it_comes() -> None:
    bench = Bench().press("a").wait(1000.0)
    assert bench.page is Page.WAITING
    bench.desk.waiting = [exhibit(1)]
    assert bench.wait(0.1).page is Page.QUERY
    assert bench.wait(59.0).page is Page.QUERY
    assert bench.wait(2.0).page is Page.AWAY


def test_everything_can_be_clicked() -> None:
    bench = Bench(exhibit(1), exhibit(2), exhibit(3)).press("a")
    boxes = lay_out(SIZE, 2).items
    for index in (1, 0):
        left, top, right, bottom = boxes[index]
        bench.labelling.handle(Click((left + right) // 2, (top + bottom) // 2))
        bench.labelling.tick()
    assert bench.given == [(1, (2, 1)), (2, (1, 2))]
    buttons = bench.labelling._painter.buttons
    assert {"up", "down", "space", "backspace", "h", "q"} <= set(buttons)
    left, top, right, bottom = buttons["down"]
    bench.labelling.handle(Click(left + 1, top + 1))
    assert bench.given[-1] == (3, None)


def test_a_click_beside_everything_does_nothing() -> None:
    bench = Bench(exhibit(1)).press("a")
    bench.labelling.handle(Click(1, 1))
    assert bench.given == []


def test_a_resized_window_is_drawn_anew() -> None:
    bench = Bench(exhibit(1)).press("a")
    bench.screen.size = (800, 500)
    bench.screen.picture = np.zeros((500, 800, 3), np.uint8)
    bench.labelling.handle(Resize())
    bench.labelling.tick()
    assert bench.desk.size == (800, 500)
    assert bench.shades() == [10, 110]
    assert (bench.screen.picture[-1, -1] > 0).all()


def test_what_stands_still_is_not_drawn_again() -> None:
    bench = Bench(exhibit(1)).press("a", "p").wait(0.1)
    updates = bench.screen.updates
    for _ in range(5):
        bench.wait(0.1)
    assert bench.screen.updates == updates


def test_texts_are_shown_and_chosen_as_clips_are() -> None:
    bench = Bench(exhibit(1, Text("Why?", "Because."), Text("Why?", "Why not?")), exhibit(2)).press("a")
    left, top, right, bottom = lay_out(SIZE, 2).items[0]
    assert (bench.screen.picture[top:bottom, left:right] < 100).any()
    bench.wait(5.0).press("right")
    assert bench.given == [(1, (2, 1))]
