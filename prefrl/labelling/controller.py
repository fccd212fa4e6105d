"""The flow of labelling, without any drawing: which page is shown, and what a key does.

A front end passes keys to `LabellingController.press`, calls `LabellingController.update` regularly, and draws what the
controller says: a page of text, or the current query.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prefrl.labelling.instructions import Instructions
from prefrl.labelling.session import LabellingSession, PreparedQuery, Ranks
from prefrl.labelling.status import LabellingStatus

__all__ = [
    "HELP",
    "LabellingController",
    "Page",
    "PageText",
    "QueryCaption",
    "StatusSource",
    "answer_in_words",
]

_STATUS_EVERY_S = 1.0

HELP = """The left clip is better: left arrow
The right clip is better: right arrow
Both are equally good: up
You cannot tell: down

More than two clips: press their numbers, the best first. Up or Enter makes the rest equal.

Play the clips again: Space
Undo the last answer: Backspace, once or more. The old answer counts until you give a new one; Enter keeps it.
Faster and slower: + and -
Pause: P. What to judge by: I
Leave: Q. Your answers are saved, training continues, and you can come back.

Everything can also be clicked."""


class Page(enum.Enum):
    """What a front end shows."""

    INSTRUCTIONS = enum.auto()
    HELP = enum.auto()
    QUERY = enum.auto()
    WAITING = enum.auto()
    AWAY = enum.auto()
    DONE = enum.auto()


_PAGES_WITH_LEASES = (Page.QUERY, Page.HELP, Page.INSTRUCTIONS)
"""pages on which the annotator may hold queries"""


@dataclass(frozen=True)
class PageText:
    """A page of text."""

    title: str
    body: str
    footer: str


@dataclass(frozen=True)
class QueryCaption:
    """What is written beside the items of a query."""

    question: str
    ranked: tuple[int, ...] = ()
    """items ranked so far, the best first"""
    marked: tuple[int, ...] = ()
    """items that the answer shown, or given before undo, ranked best"""
    note: str = ""
    """shown in place of the question, if not empty"""


class StatusSource(Protocol):
    """Where the controller gets the status of the run; `prefrl.labelling.status.StatusReader` is one."""

    is_at_work: bool
    """set by the controller: whether the annotator is answering queries now"""

    def newest(self) -> LabellingStatus:
        """The newest status."""


class LabellingController:
    """Decides what is shown and what keys do, for one annotator.

    Args:
        session: hands out queries and saves answers.
        source: of the run's status, read once per second.
        instructions: shown first, and again on demand.
        away_s: seconds without a key after which the annotator counts as away and the session releases its queries.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        session: LabellingSession,
        source: StatusSource,
        instructions: Instructions,
        away_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self._source, self._instructions = source, instructions
        self._away_s, self._clock = away_s, clock
        self.page = Page.INSTRUCTIONS
        self.has_left = False
        """whether the annotator has left; the front end then closes"""
        self.query: PreparedQuery | None = None
        """the query to show on `Page.QUERY`"""
        self.num_presented = 0
        """queries presented so far, also if it was the same one again; clips restart when it changes"""
        self._seen_id: int | None = None
        """query on the screen, since `_seen_s`"""
        self._ranking: list[int] = []
        now_s = clock()
        self._seen_s = self._active_s = now_s
        self.status, self._status_s = source.newest(), now_s

    # Input

    def press(self, key: str) -> bool:
        """Do what a key stands for.

        Args:
            key: "left", "right", "up", "down", "backspace", "return", "escape", or the character in lower case; on a
                page of text, any other string but "" counts as any key.

        Returns:
            False if the key has no meaning here and the front end may use it, for example to pause the clips.
        """
        if self.has_left:
            return True
        self._active_s = self._clock()
        if key in ("q", "escape") and not (key == "escape" and self.page is Page.HELP):
            self.has_left = True
        elif self.page is Page.AWAY:
            self._return_from_away()
        elif self.page in (Page.INSTRUCTIONS, Page.HELP):
            if key:
                self._start_work()
        elif key == "h":
            self.page = Page.HELP
        elif key == "i":
            self.page = Page.INSTRUCTIONS
        elif key == "backspace":
            self._undo()
        elif self.query is not None and self._is_on_screen(self.query):
            return self._press_on_query(key, self.query)
        return True

    def leave(self) -> None:
        """End labelling, as the key Q does."""
        self.has_left = True

    def mark_seen(self) -> None:
        """Tell that the current query is on the screen now. Answers count, and latency is measured, from then on."""
        if self.query is not None and self._seen_id != self.query.query_id:
            self._seen_id, self._seen_s = self.query.query_id, self._clock()

    def _is_on_screen(self, query: PreparedQuery) -> bool:
        """Whether the annotator saw this query when the key was pressed, and it is still the current one."""
        # In this order: the session puts a reopened query in place first, and ends `is_undoing` after that.
        if self._seen_id != query.query_id or self.session.is_undoing:
            return False
        current = self.session.current
        return current is not None and current.query_id == query.query_id

    def _press_on_query(self, key: str, query: PreparedQuery) -> bool:
        count = len(query.items)
        if key in ("left", "right") and count == 2:
            self._answer(query, (1, 2) if key == "left" else (2, 1))
        elif key == "down":
            self._answer(query, None)
        elif key == "up":
            self._answer(query, self._ranks(count))
        elif key == "return" and query.is_reopened and not self._ranking:
            self.session.advance(query)
            self._present(None)
        elif key == "return" and self._ranking:
            self._answer(query, self._ranks(count))
        elif key.isdecimal() and 1 <= int(key) <= count:
            self._rank(query, int(key) - 1)
        else:
            return False
        return True

    def _rank(self, query: PreparedQuery, item: int) -> None:
        if item in self._ranking:
            return
        self._ranking.append(item)
        # The last item needs no key.
        if len(self._ranking) == len(query.items) - 1:
            self._answer(query, self._ranks(len(query.items)))

    def _ranks(self, count: int) -> tuple[int, ...]:
        """Ranks of all items; those not ranked yet tie for the next rank."""
        last = len(self._ranking) + 1
        return tuple(
            self._ranking.index(item) + 1 if item in self._ranking else last for item in range(count)
        )

    def _answer(self, query: PreparedQuery, ranks: Ranks) -> None:
        self.session.answer(query, ranks, self._clock() - self._seen_s)
        self._present(self.session.current)

    def _undo(self) -> None:
        if self._ranking:
            self._ranking.pop()
        elif self.session.can_undo:
            self.session.undo()

    def _start_work(self) -> None:
        self.page = Page.WAITING if self.query is None else Page.QUERY
        self.session.is_away = False
        # Time spent reading is no part of the latency.
        self._seen_s = self._clock()

    def _return_from_away(self) -> None:
        self.query = None
        self._start_work()

    # What is shown

    def update(self) -> None:
        """Follow the session, the status and the clock; call it before drawing, several times per second.

        Raises:
            Exception: whatever stopped the session or the status reader.
        """
        now_s = self._clock()
        if now_s - self._status_s >= _STATUS_EVERY_S:
            self.status, self._status_s = self._source.newest(), now_s
        is_idle = now_s - self._active_s > self._away_s
        if is_idle and self.page in _PAGES_WITH_LEASES and not self.session.is_away:
            self.page, self.session.is_away = Page.AWAY, True
        current = self.session.current
        if current is not self.query and self.page is not Page.AWAY:
            self._present(current)
        if self.page is Page.WAITING and self.status.is_done:
            self.page = Page.DONE
        self._source.is_at_work = self.page in (Page.QUERY, Page.WAITING)

    def _present(self, query: PreparedQuery | None) -> None:
        is_same = query is not None and self.query is not None and query.query_id == self.query.query_id
        self.query = query
        if not is_same:
            self._ranking, self._seen_id = [], None
            self.num_presented += 1
        if self.page in (Page.WAITING, Page.DONE) and query is not None:
            # Whoever waited for a query pressed no key, but is not away.
            self._active_s = self._clock()
        if self.page in (Page.QUERY, Page.WAITING, Page.DONE):
            self.page = Page.WAITING if query is None else Page.QUERY

    def text(self) -> PageText:
        """The text of every page but `Page.QUERY`."""
        if self.page is Page.INSTRUCTIONS:
            question, body = self._instructions.question, self._instructions.body
            return PageText(question, body, "Any key to begin, then H for the keys")
        if self.page is Page.HELP:
            return PageText("Keys", HELP, "Any key to continue, Q to leave")
        if self.page is Page.AWAY:
            body = "Your query is now available to other people."
            return PageText("Are you still there?", body, "Any key to continue, Q to leave")
        if self.page is Page.DONE:
            body = "Thank you. No more labels are needed; Backspace goes back to your last answer."
            return PageText("All done", body, "Q to leave")
        footer = "Q to leave, H for the keys, Backspace to undo"
        return PageText("Please wait", self.status.waiting_reason, footer)

    def caption(self, query: PreparedQuery) -> QueryCaption:
        """What is written beside the items of ``query``."""
        marked: tuple[int, ...] = ()
        note = ""
        if query.is_reopened:
            earlier = query.earlier_ranks
            note = f"You answered: {answer_in_words(earlier)}. Answer again, or press Enter to keep it"
            if earlier is not None:
                marked = tuple(item for item, rank in enumerate(earlier) if rank == 1)
        return QueryCaption(self._instructions.question, tuple(self._ranking), marked, note)


def answer_in_words(ranks: Ranks) -> str:
    """An answer as text: "left", "right", "equal", "can't tell", or a ranking such as "3 > 1 = 2"."""
    if ranks is None:
        return "can't tell"
    if len(set(ranks)) == 1:
        return "equal"
    if len(ranks) == 2:
        return "left" if ranks[0] == 1 else "right"
    return " > ".join(
        " = ".join(str(item + 1) for item, rank in enumerate(ranks) if rank == place)
        for place in sorted(set(ranks))
    )
