"""Every key and page of labelling, with a clock that only the test moves and nothing drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prefrl.labelling.controller import LabellingController, Page, answer_in_words
from prefrl.labelling.instructions import Instructions
from prefrl.labelling.rendering import Text
from prefrl.labelling.session import PreparedQuery, Ranks
from prefrl.labelling.status import LabellingStats, LabellingStatus

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


def query(query_id: int, num_items: int = 2) -> PreparedQuery:
    items = tuple(Text("Why?", f"{query_id}.{item}") for item in range(num_items))
    return PreparedQuery(query_id, items, items)


class Bench:
    """A controller and everything around it; stands in for the front end."""

    def __init__(self, *queries: PreparedQuery) -> None:
        self.session, self.source, self.now_s = FakeSession(list(queries)), FakeStatus(), 0.0
        self.controller = LabellingController(
            self.session,  # type: ignore[arg-type]
            self.source,
            Instructions("Which is better?", "Judge by this."),
            away_s=60.0,
            clock=lambda: self.now_s,
        )
        self.draw()

    def draw(self) -> None:
        self.controller.update()
        if self.controller.page is Page.QUERY:
            self.controller.mark_seen()

    def press(self, *keys: str) -> Bench:
        for key in keys:
            self.controller.press(key)
            self.draw()
        return self

    def wait(self, seconds: float) -> Bench:
        self.now_s += seconds
        self.draw()
        return self

    @property
    def page(self) -> Page:
        return self.controller.page

    @property
    def shown(self) -> int | None:
        """The query on the screen."""
        is_shown = self.page is Page.QUERY and self.controller.query is not None
        return self.controller.query.query_id if is_shown else None  # type: ignore[union-attr]

    @property
    def given(self) -> list[tuple[int, Ranks]]:
        return [(query_id, ranks) for query_id, ranks, _ in self.session.answers]


def test_instructions_come_first_and_any_key_starts_work() -> None:
    bench = Bench(query(1))
    assert bench.page is Page.INSTRUCTIONS
    assert bench.press("a").page is Page.QUERY
    assert bench.given == []
    assert bench.press("i").page is Page.INSTRUCTIONS


@pytest.mark.parametrize(
    ("key", "ranks"),
    [("left", (1, 2)), ("right", (2, 1)), ("up", (1, 1)), ("down", None), ("1", (1, 2)), ("2", (2, 1))],
)
def test_a_key_answers_and_the_next_query_follows_at_once(key: str, ranks: Ranks) -> None:
    bench = Bench(query(1), query(2)).press("a")
    assert bench.shown == 1
    bench.press(key)
    assert bench.given == [(1, ranks)]
    assert bench.shown == 2


def test_latency_counts_from_when_the_query_is_seen() -> None:
    bench = Bench(query(1), query(2))
    bench.wait(30.0).press("a").wait(2.0).press("left").wait(3.0).press("right")
    assert [latency_s for _, _, latency_s in bench.session.answers] == [2.0, 3.0]


def test_digits_rank_the_best_first_and_the_last_item_needs_no_key() -> None:
    bench = Bench(query(1, num_items=4)).press("a", "3", "1", "1", "9", "left")
    assert bench.given == []
    bench.press("4")
    assert bench.given == [(1, (2, 4, 1, 3))]


@pytest.mark.parametrize("key", ["up", "return"])
def test_the_rest_of_a_ranking_can_tie(key: str) -> None:
    bench = Bench(query(1, num_items=4)).press("a", "3", key)
    assert bench.given == [(1, (2, 2, 1, 2))]


def test_backspace_undoes_a_rank_before_it_undoes_an_answer() -> None:
    bench = Bench(query(1), query(2, num_items=3)).press("a", "left", "3", "backspace", "1", "2")
    assert bench.given == [(1, (1, 2)), (2, (1, 2, 3))]


def test_undo_reopens_the_last_query_and_the_new_answer_follows() -> None:
    bench = Bench(query(1), query(2)).press("a", "left", "backspace")
    assert bench.shown == 1
    caption = bench.controller.caption(bench.session.current)  # type: ignore[arg-type]
    assert caption.note.startswith("You answered: left.")
    assert caption.marked == (0,)
    bench.press("right")
    assert bench.given == [(1, (1, 2)), (1, (2, 1))]
    assert bench.shown == 2


def test_a_key_pressed_before_the_reopened_query_is_ready_answers_nothing() -> None:
    bench = Bench(query(1), query(2)).press("a", "left")
    bench.session.is_undoing = True
    assert bench.press("left").given == [(1, (1, 2))]


def test_a_key_pressed_before_the_new_query_is_seen_answers_nothing() -> None:
    bench = Bench(query(1), query(2)).press("a")
    bench.session.waiting.pop(0)
    bench.controller.press("left")
    assert bench.given == []
    bench.draw()
    bench.controller.press("left")
    assert bench.given == [(2, (1, 2))]


def test_keys_pressed_before_the_next_query_is_drawn_answer_nothing() -> None:
    bench = Bench(query(1), query(2), query(3))
    for key in ("a", "left", "left"):
        bench.controller.press(key)
    assert bench.given == []
    bench.draw()
    for key in ("left", "right", "down"):
        bench.controller.press(key)
    assert bench.given == [(1, (1, 2))]


def test_keys_after_leaving_answer_nothing() -> None:
    bench = Bench(query(1)).press("a", "q", "left")
    assert bench.given == []


def test_a_digit_that_is_not_decimal_answers_nothing() -> None:
    assert Bench(query(1)).press("a", "²").given == []


def test_a_reopened_query_can_keep_its_answer() -> None:
    bench = Bench(query(1), query(2)).press("a", "left", "backspace", "return")
    assert bench.given == [(1, (1, 2))]
    assert bench.shown == 2


def test_enter_answers_nothing_if_nothing_is_ranked() -> None:
    assert Bench(query(1)).press("a", "return", "x", "7").given == []


def test_unused_keys_are_left_to_the_front_end_only_while_a_query_is_seen() -> None:
    bench = Bench(query(1))
    assert bench.controller.press("space")  # starts work
    assert bench.controller.press("space")  # the query is not drawn yet
    bench.draw()
    assert not bench.controller.press("space")
    assert not bench.controller.press("")
    assert bench.controller.press("down")


def test_help_is_left_by_any_key_and_the_query_stays() -> None:
    bench = Bench(query(1)).press("a", "h")
    assert bench.page is Page.HELP
    bench.press("left")
    assert bench.page is Page.QUERY
    assert bench.given == []
    assert bench.press("h", "escape").page is Page.QUERY
    assert not bench.controller.has_left


@pytest.mark.parametrize("key", ["q", "escape"])
def test_q_and_escape_leave(key: str) -> None:
    bench = Bench(query(1)).press("a", key)
    assert bench.controller.has_left
    assert bench.given == []


def test_without_a_query_the_page_says_what_it_waits_for() -> None:
    bench = Bench().press("a", "left")
    assert bench.page is Page.WAITING
    assert bench.controller.text().body == "Collecting the first clips: 12 of 50."
    bench.source.status = LabellingStatus(STATS, "Other people are answering all open queries.")
    bench.wait(1.1)
    assert bench.controller.text().body == "Other people are answering all open queries."
    bench.session.waiting = [query(1)]
    assert bench.wait(0.1).page is Page.QUERY
    bench.press("left").wait(0.1)
    assert bench.page is Page.WAITING
    bench.source.status = LabellingStatus(STATS, "", is_done=True)
    assert bench.wait(1.1).page is Page.DONE


def test_undo_works_while_waiting() -> None:
    bench = Bench(query(1)).press("a", "left")
    assert bench.page is Page.WAITING
    assert bench.press("backspace").page is Page.QUERY
    bench.press("right")
    assert bench.given == [(1, (1, 2)), (1, (2, 1))]


def test_an_idle_annotator_counts_as_away_until_a_key() -> None:
    bench = Bench(query(1)).press("a").wait(59.0)
    assert bench.page is Page.QUERY
    bench.wait(2.0)
    assert bench.page is Page.AWAY
    assert bench.session.is_away
    bench.session.waiting = [query(2)]
    bench.press("left")
    assert not bench.session.is_away
    assert bench.given == []
    assert bench.shown == 2


@pytest.mark.parametrize("keys", [("a", "h"), ("a", "i")])
def test_queries_are_released_when_an_annotator_is_idle_while_reading(keys: tuple[str, ...]) -> None:
    bench = Bench(query(1)).press(*keys)
    assert not bench.session.is_away
    assert bench.wait(61.0).page is Page.AWAY
    assert bench.session.is_away


def test_q_leaves_from_the_away_page() -> None:
    bench = Bench(query(1)).press("a").wait(61.0)
    assert bench.page is Page.AWAY
    assert bench.press("q").controller.has_left


def test_no_query_is_leased_before_the_instructions_are_left() -> None:
    bench = Bench(query(1)).wait(1000.0)
    assert bench.session.is_away
    assert bench.page is Page.INSTRUCTIONS
    assert not bench.press("a").session.is_away


def test_whoever_waits_for_a_query_is_not_away_when_it_comes() -> None:
    bench = Bench().press("a").wait(1000.0)
    assert bench.page is Page.WAITING
    bench.session.waiting = [query(1)]
    assert bench.wait(0.1).page is Page.QUERY
    assert bench.wait(59.0).page is Page.QUERY
    assert bench.wait(2.0).page is Page.AWAY


def test_the_annotator_is_at_work_on_the_query_and_waiting_pages_only() -> None:
    bench = Bench(query(1))
    seen = [bench.source.is_at_work]
    for key in ("a", "h", "a", "left"):
        seen.append(bench.press(key).source.is_at_work)
    assert seen == [False, True, False, True, True]
    assert bench.page is Page.WAITING


def test_clips_restart_for_every_new_query_but_not_for_the_same_one() -> None:
    bench = Bench(query(1), query(2)).press("a")
    first = bench.controller.num_presented
    bench.session.waiting[0] = query(1)  # prepared again, for example for a resized window
    assert bench.wait(0.1).controller.num_presented == first
    assert bench.press("left").controller.num_presented == first + 1


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (None, "can't tell"),
        ((1, 1), "equal"),
        ((1, 2), "left"),
        ((2, 1), "right"),
        ((2, 3, 1), "3 > 1 > 2"),
        ((2, 2, 1), "3 > 1 = 2"),
    ],
)
def test_answers_in_words(ranks: Ranks, words: str) -> None:
    assert answer_in_words(ranks) == words
