"""One annotator's labelling session: leases queries, prepares them in the background, saves and undoes answers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from prefrl.data.types import Comparison
from prefrl.labelling.rendering import Item, NotRenderableError, SegmentRenderer
from prefrl.storage import Store

__all__ = ["Fit", "LabellingSession", "PreparedQuery", "Ranks"]

_PREFETCH = 2
"""queries prepared while another one is answered"""
_POLL_S = 0.1
Ranks = tuple[int, ...] | None
"""an answer; None is "can't tell" """
Fit = Callable[[tuple[Item, ...]], tuple[Item, ...]]
"""makes a query's items ready to be shown by one front end, for example scales them to its window"""


@dataclass(frozen=True)
class PreparedQuery:
    """A query ready to be shown."""

    query_id: int
    items: tuple[Item, ...]
    """one per segment, frames at their recorded size"""
    fitted: tuple[Item, ...]
    """the items as the front end's ``fit`` returned them"""
    is_reopened: bool = False
    """whether it is shown again, by undo, after it was answered"""
    earlier_ranks: Ranks = None
    """the answer it was given before"""


def _unchanged(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return items


class LabellingSession:
    """Hands out queries one after another and saves the answers.

    A background thread leases and prepares queries, so that the next one is ready when one is answered. An answer is
    on disk when `answer` returns.

    Args:
        path: of the store.
        annotator: name that the answers are saved under.
        lease_s: seconds after which an unanswered query is available to others again, unless renewed.
        make_renderer: makes the renderer; called in the thread that uses it.
        fit: prepares items for the front end; called in the background thread.
    """

    def __init__(
        self,
        path: Path,
        annotator: str,
        lease_s: float,
        make_renderer: Callable[[Store], SegmentRenderer],
        fit: Fit = _unchanged,
    ) -> None:
        self.annotator = annotator
        self.is_away = True
        """whether the annotator is away; while True, all leases are released to others"""
        self._path, self._lease_s, self._make_renderer, self._fit = path, lease_s, make_renderer, fit
        self._store = Store.open(path)
        self._answers: dict[int, Ranks] = {
            comparison.query_id: comparison.ranks
            for comparison in self._store.comparisons()
            if comparison.annotator == annotator
        }
        """by query, in the order they were first answered"""
        self._steps_back = 0
        self._lock = threading.Lock()
        self._ready: deque[PreparedQuery] = deque()
        self._holds_leases = False
        self._reopening: int | None = None
        """query that undo has asked for and that is not ready yet"""
        self._error: BaseException | None = None
        self._is_closing, self._must_refit, self._wake = False, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="labelling-session", daemon=True)
        self._thread.start()

    @property
    def current(self) -> PreparedQuery | None:
        """The query to answer now; None if none is ready.

        Raises:
            Exception: whatever stopped the background thread.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._ready[0] if self._ready else None

    @property
    def is_undoing(self) -> bool:
        """Whether undo is preparing a query. A key pressed now is not meant for the query still shown."""
        return self._reopening is not None

    @property
    def can_undo(self) -> bool:
        """Whether there is an answer to undo."""
        return self._steps_back < len(self._answers)

    def answer(self, prepared: PreparedQuery, ranks: Ranks, latency_s: float) -> None:
        """Save an answer, superseding an earlier one to the same query, and advance to the next query."""
        self._store.add_comparisons([Comparison(prepared.query_id, ranks, self.annotator, latency_s)])
        self._answers[prepared.query_id] = ranks
        self.advance(prepared)

    def undo(self) -> None:
        """Reopen the query answered last, then the one before it; their answers count until they are replaced."""
        if self.can_undo and self._reopening is None:
            self._steps_back += 1
            self._reopening = list(self._answers)[-self._steps_back]
            self._wake.set()

    def advance(self, prepared: PreparedQuery) -> None:
        """Leave a query, answered or reopened and kept as it was, for the next one."""
        with self._lock:
            self._ready = deque(one for one in self._ready if one.query_id != prepared.query_id)
        self._steps_back = 0
        self._wake.set()

    def refit(self) -> None:
        """Call ``fit`` again on what is prepared, for example because the window was resized."""
        self._must_refit.set()
        self._wake.set()

    def close(self) -> None:
        """Release unanswered queries and end the thread."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        self._store.close()

    def _run(self) -> None:
        try:
            with Store.open(self._path) as store:
                renderer = self._make_renderer(store)
                try:
                    self._serve(store, renderer)
                except BaseException as error:
                    # Raised again in the front end's thread, by `current`.
                    self._error = error
                finally:
                    self._release_leases(store)
                    renderer.close()
        except BaseException as error:
            self._error = self._error or error

    def _serve(self, store: Store, renderer: SegmentRenderer) -> None:
        leased_s = 0.0
        while not self._is_closing:
            if self.is_away:
                self._release_leases(store)
            self._reopen(store, renderer)
            self._refit_if_asked()
            num_ready = len(self._ready)
            is_renewal_due = time.monotonic() - leased_s > self._lease_s / 3
            can_lease_more = num_ready <= _PREFETCH and store.counts().open_queries > num_ready
            if not self.is_away and (can_lease_more or (is_renewal_due and num_ready)):
                leased_s = time.monotonic()
                self._lease(store, renderer)
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _release_leases(self, store: Store) -> None:
        """Release every lease, also of queries not prepared yet, and drop what is prepared."""
        if not self._holds_leases:
            return
        for lease in store.leases():
            if lease.annotator == self.annotator:
                store.release(lease.query_id, self.annotator)
        self._holds_leases, self._steps_back = False, 0
        with self._lock:
            self._ready.clear()

    def _lease(self, store: Store, renderer: SegmentRenderer) -> None:
        """Renew the leases, take new ones, and prepare their queries."""
        self._holds_leases = True
        ids = store.lease_batch(self.annotator, self._lease_s, _PREFETCH + 1)
        with self._lock:
            # While the computer was suspended, a lease may have lapsed and somebody else have answered.
            self._ready = deque(one for one in self._ready if one.is_reopened or one.query_id in ids)
        for query_id in ids:
            if self._is_closing or self._reopening is not None:
                return
            if all(query_id != prepared.query_id for prepared in self._ready):
                prepared = self._prepare(store, renderer, query_id)
                with self._lock:
                    self._ready.append(prepared)

    def _reopen(self, store: Store, renderer: SegmentRenderer) -> None:
        if self._reopening is None:
            return
        try:
            prepared = self._prepare(store, renderer, self._reopening)
        except NotRenderableError:
            # Imported answers come without clips and cannot be changed here.
            self._reopening = None
            return
        prepared = replace(prepared, is_reopened=True, earlier_ranks=self._answers[self._reopening])
        with self._lock:
            # A reopened query that was not answered again keeps its answer.
            while self._ready and self._ready[0].is_reopened:
                self._ready.popleft()
            self._ready.appendleft(prepared)
            self._reopening = None

    def _refit_if_asked(self) -> None:
        if not self._must_refit.is_set():
            return
        self._must_refit.clear()
        for old in list(self._ready):
            new = replace(old, fitted=self._fit(old.items))
            with self._lock:
                self._ready = deque(new if one is old else one for one in self._ready)

    def _prepare(self, store: Store, renderer: SegmentRenderer, query_id: int) -> PreparedQuery:
        items = tuple(renderer.item(segment_id) for segment_id in store.query_record(query_id).segment_ids)
        return PreparedQuery(query_id, items, self._fit(items))
