"""Keeps a screen up to date, and draws only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from prefrl.labelling.controller import PageText, QueryCaption
from prefrl.labelling.rendering import Text
from prefrl.labelling.session import PreparedQuery
from prefrl.labelling.status import LabellingStats
from prefrl.viewer.drawing import Box
from prefrl.viewer.layout import page_layout
from prefrl.viewer.query_page import QueryPage
from prefrl.viewer.stats_panel import draw_stats_panel
from prefrl.viewer.text_page import draw_text_page

__all__ = ["Painter", "Screen"]


class Screen(Protocol):
    """Shows pictures."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def paste(self, picture: np.ndarray, corner: tuple[int, int]) -> None:
        """Copy a picture (H, W, 3) uint8 to the screen, its upper left corner at ``corner``."""

    def update(self) -> None:
        """Show what was pasted."""


class Painter:
    """Draws pages of text, and queries with their moving clips."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._page: QueryPage | None = None
        self._page_key: tuple[object, ...] = ()
        """what the page was drawn from; two queries may differ in nothing but their frames"""
        # What is on the screen now.
        self._shown: tuple[object, ...] = ()
        self._shown_stats: tuple[object, ...] = ()
        self._shown_steps: tuple[int, ...] = ()

    @property
    def buttons(self) -> Mapping[str, Box]:
        """Boxes that can be clicked, by key."""
        return {} if self._page is None else self._page.buttons

    def invalidate(self) -> None:
        """Draw everything next time: the screen has lost its content."""
        self._shown, self._shown_stats, self._shown_steps = (), (), ()

    def show_text(self, text: PageText) -> None:
        """Show a page of text."""
        key = text, self._screen.size
        if key != self._shown:
            self.invalidate()
            self._shown = key
            picture = draw_text_page(self._screen.size, text.title, text.body, text.footer)
            self._screen.paste(picture, (0, 0))
            self._screen.update()

    def show_query(self, query: PreparedQuery, caption: QueryCaption, step: int) -> None:
        """Show a query, its clips at this step."""
        is_new = self._paste_page(query, caption)
        if self._paste_frames(query, step) or is_new:
            self._screen.update()

    def show_stats(self, stats: LabellingStats, is_paused: bool) -> None:
        """Show the statistics beside a query, if there is room for them."""
        assert self._page is not None, "statistics are shown beside a query"
        layout = self._page.layout
        key = stats, is_paused, layout
        if layout.stats is None or key == self._shown_stats:
            return
        left, top, right, bottom = layout.stats
        picture = draw_stats_panel(stats, (right - left, bottom - top), layout.em, is_paused)
        self._screen.paste(picture, (left, top))
        self._shown_stats = key
        self._screen.update()

    def _paste_page(self, query: PreparedQuery, caption: QueryCaption) -> bool:
        """Paste the page unless it is on the screen; returns whether it was pasted."""
        size = self._screen.size
        shapes = tuple(item if isinstance(item, Text) else item.shape for item in query.fitted)
        if (size, shapes, caption) != self._page_key:
            self._page_key = size, shapes, caption
            self._page = QueryPage(size, page_layout(size, len(query.items)), query.fitted, caption)
        if (query.query_id, self._page_key) == self._shown:
            return False
        assert self._page is not None
        # Statistics that are on the screen are not painted over.
        stats = self._page.layout.stats
        width = size[0] if stats is None or not self._shown_stats else stats[0]
        self._screen.paste(self._page.picture[:, :width], (0, 0))
        self._shown, self._shown_steps = (query.query_id, self._page_key), ()
        return True

    def _paste_frames(self, query: PreparedQuery, step: int) -> bool:
        """Paste each clip's frame unless it is on the screen; returns whether they were pasted."""
        assert self._page is not None
        clips = [
            (item, corner)
            for item, corner in zip(query.fitted, self._page.corners, strict=True)
            if isinstance(item, np.ndarray)
        ]
        # A shorter clip shows its last frame until the others end.
        steps = tuple(min(step, len(frames) - 1) for frames, _ in clips)
        if steps == self._shown_steps:
            return False
        for (frames, corner), own_step in zip(clips, steps, strict=True):
            self._screen.paste(frames[own_step], corner)
        self._shown_steps = steps
        return True
