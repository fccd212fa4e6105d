"""Draws the pages of a labelling session on a screen, and turns clicks and keys into the controller's keys.

It imports no pygame: any source of events and any `Screen` will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prefrl.labelling.controller import LabellingController, Page
from prefrl.labelling.rendering import Text
from prefrl.labelling.session import PreparedQuery
from prefrl.viewer.events import Click, Close, Event, Key, Resize
from prefrl.viewer.layout import page_layout
from prefrl.viewer.painter import Painter, Screen
from prefrl.viewer.playback import Playback
from prefrl.viewer.scaling import WindowFit

__all__ = ["LabellingView"]

_MAX_WAIT_S = 0.2


class LabellingView:
    """Shows what the controller says, plays clips, and handles events.

    Args:
        screen: to draw on.
        controller: decides what is shown and what keys do.
        fit: scales the session's items to the screen.
        fps: environment steps per second at normal speed.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        screen: Screen,
        controller: LabellingController,
        fit: WindowFit,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen, self._controller, self._fit, self._clock = screen, controller, fit, clock
        self._painter, self._playback = Painter(screen), Playback(fps)
        self._num_presented = controller.num_presented

    def handle(self, event: Event) -> None:
        """React to a key, a click, or a change of the window."""
        if isinstance(event, Resize):
            self._painter.invalidate()
            self._fit.size = self._screen.size
            self._controller.session.refit()
        elif isinstance(event, Close):
            self._controller.leave()
        else:
            key = event.name if isinstance(event, Key) else self._key_of_click(event)
            if not self._controller.press(key):
                self._press_playback_key(key)

    def draw(self) -> float:
        """Bring the screen up to date; returns the seconds after which it should be called again."""
        now_s = self._clock()
        controller = self._controller
        controller.update()
        if controller.num_presented != self._num_presented:
            self._num_presented = controller.num_presented
            self._playback.restart()
        if controller.page is not Page.QUERY or controller.query is None:
            self._painter.show_text(controller.text())
            return _MAX_WAIT_S
        self._draw_query(controller.query, now_s)
        next_s = self._playback.next_s
        return _MAX_WAIT_S if next_s is None else min(next_s, _MAX_WAIT_S)

    def _draw_query(self, query: PreparedQuery, now_s: float) -> None:
        steps = max((len(item) for item in query.items if not isinstance(item, Text)), default=1)
        caption = self._controller.caption(query)
        self._painter.show_query(query, caption, self._playback.step(now_s, steps))
        self._controller.mark_seen()
        # After the clips, which people wait for.
        self._painter.show_stats(self._controller.status.stats, self._playback.is_paused)

    def _press_playback_key(self, key: str) -> None:
        if key == "space":
            self._playback.restart()
        elif key in ("+", "=", "-"):
            self._playback.change_speed(-1 if key == "-" else 1)
        elif key == "p":
            self._playback.is_paused = not self._playback.is_paused

    def _key_of_click(self, click: Click) -> str:
        """The key that a click stands for; "" if it hits nothing."""
        query = self._controller.query
        if self._controller.page is not Page.QUERY or query is None:
            return "return"
        boxes = dict(self._painter.buttons)
        count = len(query.items)
        keys = ("left", "right") if count == 2 else tuple(str(item + 1) for item in range(count))
        boxes |= dict(zip(keys, page_layout(self._screen.size, count).items, strict=True))
        for key, (left, top, right, bottom) in boxes.items():
            if left <= click.x < right and top <= click.y < bottom:
                return key
        return ""
