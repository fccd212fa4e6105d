"""An annotator's desk: queries are leased, made ready ahead of time, answered, and taken back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prefrl.data.types import Comparison
from prefrl.labelling.rendering import Item, NothingToSeeError, SegmentRenderer, fit
from prefrl.storage import Store
from prefrl.viewer.layout import lay_out

__all__ = ["LabellingSession", "PreparedQuery"]

_AHEAD = 2
"""queries made ready while another is looked at"""
_POLL_S = 0.1
Ranks = tuple[int, ...] | None


@dataclass(frozen=True)
class PreparedQuery:
    """A query, ready to be shown."""

    query_id: int
    items: tuple[Item, ...]
    """of each segment, as large as it was recorded"""
    fitted: tuple[Item, ...]
    """the same, as large as it is shown"""
    size: tuple[int, int]
    """of the window that it fits"""
    is_again: bool = False
    """whether it was answered before, and is back to be answered otherwise"""
    earlier: Ranks = None
    """that answer"""


class LabellingSession:
    """Hands out queries one after another and takes the answers.

    A thread of its own leases queries and makes them ready, so that the next is there when one is answered. Answers
    are in the store, on disk, when `answer` returns.

    Args:
        path: of the store.
        annotator: who sits here.
        lease_s: seconds after which an unanswered query goes back to the others, unless renewed.
        make_artist: makes what draws the items, in the thread that uses it.
        size: width and height of the window.
    """

    def __init__(
        self,
        path: Path,
        annotator: str,
        lease_s: float,
        make_artist: Callable[[Store], SegmentRenderer],
        size: tuple[int, int],
    ) -> None:
        self.annotator = annotator
        self.size = size
        """of the window; set it when it changes, and what is ready is scaled anew"""
        self.is_away = True
        """cleared when somebody sits down and set when they are gone: others then get the queries"""
        self._path, self._lease_s, self._make_artist = path, lease_s, make_artist
        self._store = Store.open(path)
        self._answers: dict[int, Ranks] = {
            comparison.query_id: comparison.ranks
            for comparison in self._store.comparisons()
            if comparison.annotator == annotator
        }
        """by query, those first answered first"""
        self._steps_back = 0
        self._lock = threading.Lock()
        self._ready: deque[PreparedQuery] = deque()
        self._holds_leases = False
        self._wanted: int | None = None
        """query to be brought back"""
        self._error: BaseException | None = None
        self._is_closing, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    @property
    def current(self) -> PreparedQuery | None:
        """What is to be answered now; None where nothing is ready.

        Raises:
            Exception: what making one ready raised.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._ready[0] if self._ready else None

    @property
    def is_bringing_back(self) -> bool:
        """Whether a query taken back is being made ready: what is shown meanwhile is not what a key is meant for."""
        return self._wanted is not None

    @property
    def can_undo(self) -> bool:
        """Whether there is an answer to go back to."""
        return self._steps_back < len(self._answers)

    def answer(self, exhibit: PreparedQuery, ranks: Ranks, latency_s: float) -> None:
        """Save the answer to ``exhibit`` and go on to the next; an earlier answer to it is superseded."""
        self._store.add_comparisons([Comparison(exhibit.query_id, ranks, self.annotator, latency_s)])
        self._answers[exhibit.query_id] = ranks
        self.go_on(exhibit)

    def undo(self) -> None:
        """Bring back the query answered last, then the one before it; their answers stand until there are others."""
        if self.can_undo and self._wanted is None:
            self._steps_back += 1
            self._wanted = list(self._answers)[-self._steps_back]
            self._wake.set()

    def go_on(self, exhibit: PreparedQuery) -> None:
        """Leave an exhibit, answered or brought back in vain, for those that wait."""
        with self._lock:
            self._ready = deque(one for one in self._ready if one.query_id != exhibit.query_id)
        self._steps_back = 0
        self._wake.set()

    def close(self) -> None:
        """Give unanswered queries back and end the thread."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        self._store.close()

    def _run(self) -> None:
        try:
            with Store.open(self._path) as store:
                artist = self._make_artist(store)
                try:
                    self._serve(store, artist)
                except BaseException as error:
                    # Raised again where the window is.
                    self._error = error
                finally:
                    self._let_go(store)
                    artist.close()
        except BaseException as error:
            self._error = self._error or error

    def _serve(self, store: Store, artist: SegmentRenderer) -> None:
        leased_s = 0.0
        while not self._is_closing:
            if self.is_away:
                self._let_go(store)
            self._bring_back(store, artist)
            self._refit()
            waiting = len(self._ready)
            is_due = time.monotonic() - leased_s > self._lease_s / 3
            is_short = waiting <= _AHEAD and store.counts().open_queries > waiting
            if not self.is_away and (is_short or (is_due and waiting)):
                leased_s = time.monotonic()
                self._lease(store, artist)
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _let_go(self, store: Store) -> None:
        """Give back every lease, of those not yet made ready too, and what is ready with them."""
        if not self._holds_leases:
            return
        for lease in store.leases():
            if lease.annotator == self.annotator:
                store.release(lease.query_id, self.annotator)
        self._holds_leases, self._steps_back = False, 0
        with self._lock:
            self._ready.clear()

    def _lease(self, store: Store, artist: SegmentRenderer) -> None:
        """Renew the leases, take new ones, and make ready what they are of."""
        self._holds_leases = True
        ids = store.lease_batch(self.annotator, self._lease_s, _AHEAD + 1)
        with self._lock:
            # A lease may have lapsed, on a computer that slept, and somebody else have answered.
            self._ready = deque(one for one in self._ready if one.is_again or one.query_id in ids)
        for query_id in ids:
            if self._is_closing or self._wanted is not None:
                return
            if all(query_id != exhibit.query_id for exhibit in self._ready):
                exhibit = self._exhibit(store, artist, query_id)
                with self._lock:
                    self._ready.append(exhibit)

    def _bring_back(self, store: Store, artist: SegmentRenderer) -> None:
        if self._wanted is None:
            return
        try:
            exhibit = self._exhibit(store, artist, self._wanted)
        except NothingToSeeError:
            # An imported answer comes without its clips, and stands.
            self._wanted = None
            return
        exhibit = replace(exhibit, is_again=True, earlier=self._answers[self._wanted])
        with self._lock:
            # One that was brought back and not answered again keeps its answer.
            while self._ready and self._ready[0].is_again:
                self._ready.popleft()
            self._ready.appendleft(exhibit)
            self._wanted = None

    def _refit(self) -> None:
        size = self.size
        for old in list(self._ready):
            if old.size != size:
                new = replace(old, fitted=_fitted(old.items, size), size=size)
                with self._lock:
                    self._ready = deque(new if one is old else one for one in self._ready)

    def _exhibit(self, store: Store, artist: SegmentRenderer, query_id: int) -> PreparedQuery:
        size = self.size
        items = tuple(artist.item(segment_id) for segment_id in store.query_record(query_id).segment_ids)
        return PreparedQuery(query_id, items, _fitted(items, size), size)


def _fitted(items: Sequence[Item], size: tuple[int, int]) -> tuple[Item, ...]:
    """Frames scaled to the room that a window of this size has for them."""
    boxes = lay_out(size, len(items)).items
    return tuple(
        fit(item, (box[2] - box[0], box[3] - box[1])) if isinstance(item, np.ndarray) else item
        for item, box in zip(items, boxes, strict=True)
    )
