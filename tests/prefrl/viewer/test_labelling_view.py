"""The labelling pages on a screen of numpy, with a clock that only the test moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prefrl.labelling.controller import LabellingController, Page
from prefrl.labelling.instructions import Instructions
from prefrl.labelling.rendering import Item, Text
from prefrl.labelling.session import PreparedQuery, Ranks
from prefrl.labelling.status import LabellingStats, LabellingStatus
from prefrl.viewer.events import Click, Close, Key, Resize
from prefrl.viewer.labelling_view import LabellingView
from prefrl.viewer.layout import page_layout
from prefrl.viewer.scaling import WindowFit

SIZE = 640, 360
STEPS = 10
FPS = 10.0
STATS = LabellingStats(0, 3, 10, 20, None, None, (), "acting", 100, 1000)


class FakeSession:
    """Queries 1, 2, 3 ... from a list; the next one is ready at once unless a test says otherwise."""

    def __init__(self, queries: list[PreparedQuery]) -> None:
        self.waiting, self.reopened = queries, list[PreparedQuery]()
        self.answers: list[tuple[int, Ranks, float]] = []
        self.is_away, self.is_undoing, self.num_refits = True, False, 0

    @property
    def current(self) -> PreparedQuery | None:
        return (self.reopened + self.waiting or [None])[0]  # type: ignore[list-item]

    @property
    def can_undo(self) -> bool:
        return bool(self.answers)

    def answer(self, prepared: PreparedQuery, ranks: Ranks, latency_s: float) -> None:
        self.answers.append((prepared.query_id, ranks, latency_s))
        self.answered = prepared
        self.advance(prepared)

    def undo(self) -> None:
        self.reopened = [replace(self.answered, is_reopened=True, earlier_ranks=self.answers[-1][1])]

    def advance(self, prepared: PreparedQuery) -> None:
        self.waiting = [one for one in self.waiting if one.query_id != prepared.query_id]
        self.reopened = []

    def refit(self) -> None:
        self.num_refits += 1


class FakeStatus:
    """A run's status, set by the test."""

    def __init__(self) -> None:
        self.status = LabellingStatus(STATS, "Collecting the first clips: 12 of 50.")
        self.is_at_work = False

    def newest(self) -> LabellingStatus:
        return self.status


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


def clip(shade: int, steps: int = STEPS) -> np.ndarray:
    """Every frame has one shade of grey, one lighter each step."""
    shades = (shade + np.arange(steps)).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (steps, 60, 60, 3)).copy()


def query(query_id: int, *items: Item) -> PreparedQuery:
    items = items or (clip(10 * query_id), clip(10 * query_id + 100))
    return PreparedQuery(query_id, items, items)


class Bench:
    """A view and everything around it."""

    def __init__(self, *queries: PreparedQuery) -> None:
        self.screen, self.session, self.source = Screen(), FakeSession(list(queries)), FakeStatus()
        self.now_s, self.fit = 0.0, WindowFit(SIZE)
        instructions = Instructions("Which is better?", "Judge by this.")
        clock = lambda: self.now_s  # noqa: E731
        self.controller = LabellingController(self.session, self.source, instructions, 60.0, clock)  # type: ignore[arg-type]
        self.view = LabellingView(self.screen, self.controller, self.fit, FPS, clock)
        self.view.draw()

    def press(self, *keys: str) -> Bench:
        for key in keys:
            self.view.handle(Key(key))
            self.view.draw()
        return self

    def wait(self, seconds: float) -> Bench:
        self.now_s += seconds
        self.view.draw()
        return self

    @property
    def given(self) -> list[tuple[int, Ranks]]:
        return [(query_id, ranks) for query_id, ranks, _ in self.session.answers]

    def shades(self, count: int = 2) -> list[int]:
        """Of the pixels in the middle of the items' boxes."""
        boxes = page_layout(self.screen.size, count).items
        return [int(self.screen.picture[(b[1] + b[3]) // 2, (b[0] + b[2]) // 2, 0]) for b in boxes]


@pytest.mark.parametrize("key", ["left", "right", "up", "down", "1", "2"])
def test_after_an_answer_the_next_clips_are_shown_at_once(key: str) -> None:
    bench = Bench(query(1), query(2)).press("a")
    assert bench.shades() == [10, 110]
    bench.press(key)
    assert bench.shades() == [20, 120]


def test_keys_pressed_before_the_next_query_is_drawn_answer_nothing() -> None:
    bench = Bench(query(1), query(2), query(3))
    for key in ("a", "left", "left"):
        bench.view.handle(Key(key))
    assert bench.given == []
    bench.view.draw()
    for key in ("left", "right", "down"):
        bench.view.handle(Key(key))
    assert bench.given == [(1, (1, 2))]


def test_undo_shows_the_last_clips_again_and_then_those_after_them() -> None:
    bench = Bench(query(1), query(2)).press("a", "left", "backspace")
    assert bench.shades() == [10, 110]
    bench.press("right")
    assert bench.given == [(1, (1, 2)), (1, (2, 1))]
    assert bench.shades() == [20, 120]


def test_clips_play_at_their_own_rate_in_step_and_restart() -> None:
    bench = Bench(query(1, clip(10), clip(100, steps=5))).press("a").wait(0.05)
    seen = [bench.shades()] + [bench.wait(0.1).shades() for _ in range(9)]
    # The shorter one shows its last frame until the other ends.
    assert seen == [[10 + step, 100 + min(step, 4)] for step in range(10)]
    for _ in range(5):
        bench.wait(0.1)
    assert bench.shades() == [10, 100]


def test_clips_of_the_next_query_start_at_their_first_step() -> None:
    bench = Bench(query(1), query(2)).press("a").wait(0.51)
    assert bench.shades() == [15, 115]
    assert bench.press("left").shades() == [20, 120]


@pytest.mark.parametrize(("keys", "after"), [(("+",), 4), (("-",), 1), (("+", "-"), 2), (("+",) * 9, 8)])
def test_plus_and_minus_change_the_speed(keys: tuple[str, ...], after: int) -> None:
    bench = Bench(query(1)).press("a", *keys)
    assert bench.wait(0.21).shades()[0] == 10 + after


def test_p_pauses_the_clips_and_space_restarts_them() -> None:
    bench = Bench(query(1)).press("a").wait(0.51).press("p").wait(5.0)
    assert bench.shades() == [15, 115]
    bench.press("p").wait(0.1)
    assert bench.shades() == [16, 116]
    assert bench.press("space").shades() == [10, 110]


@pytest.mark.parametrize("event", [Key("q"), Key("escape"), Close()])
def test_q_escape_and_the_close_button_leave(event: Key | Close) -> None:
    bench = Bench(query(1)).press("a")
    bench.view.handle(event)
    assert bench.controller.has_left
    assert bench.given == []


def test_the_waiting_page_follows_the_status() -> None:
    bench = Bench().press("a")
    before = bench.screen.picture.copy()
    bench.source.status = LabellingStatus(STATS, "Other people are answering all open queries.")
    bench.wait(1.1)
    assert (bench.screen.picture != before).any()


def test_everything_can_be_clicked() -> None:
    bench = Bench(query(1), query(2), query(3))
    bench.view.handle(Click(1, 1))  # leaves the instructions
    bench.view.draw()
    assert bench.controller.page is Page.QUERY
    boxes = page_layout(SIZE, 2).items
    for index in (1, 0):
        left, top, right, bottom = boxes[index]
        bench.view.handle(Click((left + right) // 2, (top + bottom) // 2))
        bench.view.draw()
    assert bench.given == [(1, (2, 1)), (2, (1, 2))]
    buttons = bench.view._painter.buttons
    assert {"up", "down", "space", "backspace", "h", "q"} <= set(buttons)
    left, top, right, bottom = buttons["down"]
    bench.view.handle(Click(left + 1, top + 1))
    assert bench.given[-1] == (3, None)


def test_a_click_beside_everything_does_nothing() -> None:
    bench = Bench(query(1)).press("a")
    bench.view.handle(Click(1, 1))
    assert bench.given == []


def test_a_resized_window_is_drawn_again_and_clips_are_fitted_to_it() -> None:
    bench = Bench(query(1)).press("a")
    bench.screen.size = (800, 500)
    bench.screen.picture = np.zeros((500, 800, 3), np.uint8)
    bench.view.handle(Resize())
    bench.view.draw()
    assert bench.fit.size == (800, 500)
    assert bench.session.num_refits == 1
    assert bench.shades() == [10, 110]
    assert (bench.screen.picture[-1, -1] > 0).all()


def test_nothing_is_drawn_while_nothing_changes() -> None:
    bench = Bench(query(1)).press("a", "p").wait(0.1)
    updates = bench.screen.updates
    for _ in range(5):
        bench.wait(0.1)
    assert bench.screen.updates == updates


def test_texts_are_shown_and_chosen_as_clips_are() -> None:
    bench = Bench(query(1, Text("Why?", "Because."), Text("Why?", "Why not?")), query(2)).press("a")
    left, top, right, bottom = page_layout(SIZE, 2).items[0]
    assert (bench.screen.picture[top:bottom, left:right] < 100).any()
    bench.wait(5.0).press("right")
    assert bench.given == [(1, (2, 1))]
