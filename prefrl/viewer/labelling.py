"""One person's work at the window: which page is shown, and what a key does.

It knows of no pygame: whatever can give events and show pictures will do.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from prefrl.labelling.instructions import Instructions
from prefrl.labelling.rendering import Text
from prefrl.labelling.session import LabellingSession, PreparedQuery, Ranks
from prefrl.viewer.events import Click, Close, Event, Key, Resize
from prefrl.viewer.layout import lay_out
from prefrl.viewer.painter import Painter, Screen
from prefrl.viewer.panel import LabellingStats
from prefrl.viewer.playback import Playback
from prefrl.viewer.query_page import PageState, answer_in_words
from prefrl.viewer.text_page import HELP

__all__ = ["Labelling", "LabellingStatus", "Page"]

_FIGURES_EVERY_S = 1.0
_LONGEST_WAIT_S = 0.2


class Page(enum.Enum):
    """What the window shows."""

    INSTRUCTIONS = enum.auto()
    HELP = enum.auto()
    QUERY = enum.auto()
    WAITING = enum.auto()
    AWAY = enum.auto()
    OVER = enum.auto()


@dataclass(frozen=True)
class LabellingStatus:
    """How the run stands, as far as it matters here."""

    figures: LabellingStats
    waits_for: str
    """why there may be nothing to answer"""
    is_over: bool = False
    """whether nothing will come any more"""


_AT_THE_DESK = (Page.QUERY, Page.HELP, Page.INSTRUCTIONS)
"""pages on which a person holds queries"""


class Labelling:
    """Shows queries and takes answers.

    Args:
        screen: to draw on.
        desk: to get queries from.
        instructions: shown first, and again on demand.
        situation: asked for once a second.
        fps: steps of a clip a second, at normal speed.
        away_s: without a sign of life for so long, the person counts as gone and the desk lets its queries go.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        screen: Screen,
        desk: LabellingSession,
        instructions: Instructions,
        situation: Callable[[], LabellingStatus],
        fps: float,
        away_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen, self._desk, self._instructions = screen, desk, instructions
        self._ask_situation, self._away_s, self._clock = situation, away_s, clock
        self._painter, self._playback = Painter(screen), Playback(fps)
        self.page = Page.INSTRUCTIONS
        self.is_over = False
        """True once the person has left"""
        self._shown: PreparedQuery | None = None
        self._seen: int | None = None
        """the query on the screen, of which `_shown_s` says since when"""
        self._ranking: list[int] = []
        now_s = clock()
        self._shown_s = self._active_s = now_s
        self._situation, self._situation_s = situation(), now_s

    # What people do

    def handle(self, event: Event) -> None:
        """Take in what was done at the window."""
        if isinstance(event, Resize):
            self._painter.forget()
            self._desk.size = self._screen.size
            return
        if isinstance(event, Close):
            self.is_over = True
            return
        if self.is_over:
            return
        self._active_s = self._clock()
        key = event.name if isinstance(event, Key) else self._clicked(event)
        if key in ("q", "escape") and not (key == "escape" and self.page is Page.HELP):
            self.is_over = True
        elif self.page is Page.AWAY:
            self._come_back()
        elif self.page in (Page.INSTRUCTIONS, Page.HELP):
            if key:
                self._turn_to_work()
        elif key == "h":
            self.page = Page.HELP
        elif key == "i":
            self.page = Page.INSTRUCTIONS
        elif key == "backspace":
            self._undo()
        elif self._shown is not None and self._is_still_meant(self._shown):
            self._answer_key(key, self._shown)

    def _is_still_meant(self, shown: PreparedQuery) -> bool:
        """Whether it is what was on the screen when the key was pressed, and nothing is about to take its place."""
        # In this order: what is brought back takes its place first, and then counts as brought back.
        if self._seen != shown.query_id or self._desk.is_bringing_back:
            return False
        current = self._desk.current
        return current is not None and current.query_id == shown.query_id

    def _answer_key(self, key: str, shown: PreparedQuery) -> None:
        count = len(shown.items)
        if key in ("left", "right") and count == 2:
            self._answer(shown, (1, 2) if key == "left" else (2, 1))
        elif key == "down":
            self._answer(shown, None)
        elif key == "up":
            self._answer(shown, self._ranks(count))
        elif key == "return" and shown.is_again and not self._ranking:
            self._desk.go_on(shown)
            self._present(None)
        elif key == "return" and self._ranking:
            self._answer(shown, self._ranks(count))
        elif key.isdecimal() and 1 <= int(key) <= count:
            self._rank(shown, int(key) - 1)
        else:
            self._play_key(key)

    def _play_key(self, key: str) -> None:
        if key == "space":
            self._playback.begin()
        elif key in ("+", "=", "-"):
            self._playback.change_speed(-1 if key == "-" else 1)
        elif key == "p":
            self._playback.is_paused = not self._playback.is_paused

    def _rank(self, shown: PreparedQuery, item: int) -> None:
        if item in self._ranking:
            return
        self._ranking.append(item)
        # The last place is nobody's choice.
        if len(self._ranking) == len(shown.items) - 1:
            self._answer(shown, self._ranks(len(shown.items)))

    def _ranks(self, count: int) -> tuple[int, ...]:
        """Ranks of all items, those not ranked being tied for the place after the last."""
        last = len(self._ranking) + 1
        return tuple(
            self._ranking.index(item) + 1 if item in self._ranking else last for item in range(count)
        )

    def _answer(self, shown: PreparedQuery, ranks: Ranks) -> None:
        self._desk.answer(shown, ranks, self._clock() - self._shown_s)
        self._present(self._desk.current)

    def _undo(self) -> None:
        if self._ranking:
            self._ranking.pop()
        elif self._desk.can_undo:
            self._desk.undo()

    def _clicked(self, click: Click) -> str:
        """The key that a click stands for."""
        if self.page is not Page.QUERY or self._shown is None:
            return "return"
        boxes = dict(self._painter.buttons)
        count = len(self._shown.items)
        keys = ("left", "right") if count == 2 else tuple(str(item + 1) for item in range(count))
        boxes |= dict(zip(keys, lay_out(self._screen.size, count).items, strict=True))
        for key, (left, top, right, bottom) in boxes.items():
            if left <= click.x < right and top <= click.y < bottom:
                return key
        return ""

    def _turn_to_work(self) -> None:
        self.page = Page.WAITING if self._shown is None else Page.QUERY
        self._desk.is_away = False
        # Reading is no part of the answer's latency.
        self._shown_s = self._clock()

    def _come_back(self) -> None:
        self._shown = None
        self._turn_to_work()

    # What is shown

    def tick(self) -> float:
        """Bring the screen up to date; returns after how many seconds it wants to again."""
        now_s = self._clock()
        self._look_around(now_s)
        if self.page is not Page.QUERY or self._shown is None:
            self._painter.text(*self._text())
            return _LONGEST_WAIT_S
        self._draw_query(self._shown, now_s)
        next_s = self._playback.next_s
        return _LONGEST_WAIT_S if next_s is None else min(next_s, _LONGEST_WAIT_S)

    def _look_around(self, now_s: float) -> None:
        if now_s - self._situation_s >= _FIGURES_EVERY_S:
            self._situation, self._situation_s = self._ask_situation(), now_s
        is_idle = now_s - self._active_s > self._away_s
        if is_idle and self.page in _AT_THE_DESK and not self._desk.is_away:
            self.page, self._desk.is_away = Page.AWAY, True
        current = self._desk.current
        if current is not self._shown and self.page is not Page.AWAY:
            self._present(current)
        if self.page is Page.WAITING and self._situation.is_over:
            self.page = Page.OVER

    def _present(self, exhibit: PreparedQuery | None) -> None:
        is_same = exhibit is not None and self._shown is not None and exhibit.query_id == self._shown.query_id
        self._shown = exhibit
        if not is_same:
            self._ranking, self._seen = [], None
            self._playback.begin()
        if self.page in (Page.WAITING, Page.OVER) and exhibit is not None:
            # Who waited for it has done nothing for a while, and is there all the same.
            self._active_s = self._clock()
        if self.page in (Page.QUERY, Page.WAITING, Page.OVER):
            self.page = Page.WAITING if exhibit is None else Page.QUERY

    def _draw_query(self, shown: PreparedQuery, now_s: float) -> None:
        steps = max((len(item) for item in shown.items if not isinstance(item, Text)), default=1)
        self._painter.query(shown, self._page_state(shown), self._playback.step(now_s, steps))
        if self._seen != shown.query_id:
            self._seen, self._shown_s = shown.query_id, self._clock()
        # After the clips: nobody waits for the panel.
        self._painter.panel(self._situation.figures, self._playback.is_paused)

    def _text(self) -> tuple[str, str, str]:
        if self.page is Page.INSTRUCTIONS:
            return self._instructions.question, self._instructions.body, "Any key to begin, H for the keys"
        if self.page is Page.HELP:
            return "Keys", HELP, "Any key to go on, Q to leave"
        if self.page is Page.AWAY:
            return (
                "Are you still there?",
                "Your query has gone back to the others.",
                "Any key to go on, Q to leave",
            )
        if self.page is Page.OVER:
            return (
                "That was all",
                "Thank you. No more labels are needed; Backspace goes back to your last answer.",
                "Q to leave",
            )
        return "One moment", self._situation.waits_for, "Q to leave, H for the keys, Backspace to undo"

    def _page_state(self, shown: PreparedQuery) -> PageState:
        marked: tuple[int, ...] = ()
        note = ""
        if shown.is_again:
            note = f"You answered: {answer_in_words(shown.earlier)}. Answer again, or press Enter to leave it"
            if shown.earlier is not None:
                marked = tuple(item for item, rank in enumerate(shown.earlier) if rank == 1)
        return PageState(self._instructions.question, tuple(self._ranking), marked, note)
