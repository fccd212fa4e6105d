"""Keeps a screen up to date: of what it shows, only what has changed is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from prefrl.labelling.rendering import Text
from prefrl.labelling.session import PreparedQuery
from prefrl.viewer.drawing import Box
from prefrl.viewer.layout import lay_out
from prefrl.viewer.panel import LabellingStats, draw_panel
from prefrl.viewer.query_page import PageState, QueryPage
from prefrl.viewer.text_page import draw_text_page

__all__ = ["Painter", "Screen"]


class Screen(Protocol):
    """What shows pictures."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def paste(self, picture: np.ndarray, corner: tuple[int, int]) -> None:
        """Put a picture (H, W, 3) uint8 somewhere."""

    def update(self) -> None:
        """Show what was pasted."""


class Painter:
    """Draws text pages, and the pages of queries with what moves on them."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._page: QueryPage | None = None
        self._page_key: tuple[object, ...] = ()
        """what the page was drawn from; two queries may well look alike but for their frames"""
        # What is on the screen.
        self._shown: tuple[object, ...] = ()
        self._panel: tuple[object, ...] = ()
        self._steps: tuple[int, ...] = ()

    @property
    def buttons(self) -> Mapping[str, Box]:
        """Boxes to click, by key."""
        return {} if self._page is None else self._page.buttons

    def forget(self) -> None:
        """Draw everything next time: the screen has lost it."""
        self._shown, self._panel, self._steps = (), (), ()

    def text(self, title: str, body: str, foot: str) -> None:
        """Show a page of text."""
        key = title, body, foot, self._screen.size
        if key != self._shown:
            self.forget()
            self._shown = key
            self._screen.paste(draw_text_page(self._screen.size, title, body, foot), (0, 0))
            self._screen.update()

    def query(self, exhibit: PreparedQuery, state: PageState, step: int) -> None:
        """Show a query, its clips at this step."""
        is_new = self._paste_page(exhibit, state)
        if self._paste_frames(exhibit, step) or is_new:
            self._screen.update()

    def panel(self, figures: LabellingStats, is_paused: bool) -> None:
        """Show the panel beside a query, where there is room for one."""
        assert self._page is not None, "the panel goes beside a query"
        layout = self._page.layout
        key = figures, is_paused, layout
        if layout.panel is None or key == self._panel:
            return
        left, top, right, bottom = layout.panel
        self._screen.paste(
            draw_panel(figures, (right - left, bottom - top), layout.em, is_paused), (left, top)
        )
        self._panel = key
        self._screen.update()

    def _paste_page(self, exhibit: PreparedQuery, state: PageState) -> bool:
        """Unless it is there already; returns whether it was not."""
        size = self._screen.size
        looks = tuple(item if isinstance(item, Text) else item.shape for item in exhibit.fitted)
        if (size, looks, state) != self._page_key:
            self._page_key = size, looks, state
            self._page = QueryPage(size, lay_out(size, len(exhibit.items)), exhibit.fitted, state)
        if (exhibit.query_id, self._page_key) == self._shown:
            return False
        assert self._page is not None
        # The panel's place is left as it is, where the panel is there.
        width = size[0] if self._page.layout.panel is None or not self._panel else self._page.layout.panel[0]
        self._screen.paste(self._page.picture[:, :width], (0, 0))
        self._shown, self._steps = (exhibit.query_id, self._page_key), ()
        return True

    def _paste_frames(self, exhibit: PreparedQuery, step: int) -> bool:
        """Unless they are there already; returns whether they were not."""
        assert self._page is not None
        films = [
            (item, corner)
            for item, corner in zip(exhibit.fitted, self._page.corners, strict=True)
            if isinstance(item, np.ndarray)
        ]
        # A shorter clip shows its last picture until the others are through.
        steps = tuple(min(step, len(film) - 1) for film, _ in films)
        if steps == self._steps:
            return False
        for (film, corner), own_step in zip(films, steps, strict=True):
            self._screen.paste(film[own_step], corner)
        self._steps = steps
        return True
