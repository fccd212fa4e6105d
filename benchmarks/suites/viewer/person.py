"""A program in a person's place: a labelling window on its own screen, and the keys pressed at it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import prefrl_command
from prefrl.storage import Store

__all__ = ["Person", "Window", "delays_ms", "wait_for"]

SCREEN = "1600x900x24"
_TIMEOUT_S = 300.0
_VIEW_S = 1.0
_MAX_DELAY_S = 1.0


class Window:
    """A labelling window on a virtual screen, and the keys pressed at it."""

    def __init__(self, run: Path, annotator: str) -> None:
        self.annotator = annotator
        self._screen = subprocess.Popen(
            ["Xvfb", "-displayfd", "1", "-screen", "0", SCREEN],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._screen.stdout is not None
        self.display = f":{self._screen.stdout.readline().strip()}"
        self._environment = os.environ | {"DISPLAY": self.display}
        self.process = subprocess.Popen(
            prefrl_command("label", str(run), "--annotator", annotator),
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr,
            env=self._environment,
        )

    def press(self, key: str) -> None:
        """Press and release a key."""
        subprocess.run(["xdotool", "key", key], check=True, env=self._environment)

    def begin(self, store: Store) -> None:
        """Close the instructions once the window is open, and wait until the first query is shown."""
        # Its first heartbeat shows that it is open.
        wait_for(
            lambda: any(worker.name.endswith(f" {self.annotator}") for worker in store.workers()),
            "the window to open",
        )
        time.sleep(_VIEW_S)
        self.press("Return")
        wait_for(lambda: any(lease.annotator == self.annotator for lease in store.leases()), "a query")
        time.sleep(_VIEW_S)

    def picture(self, path: Path) -> None:
        """Save a picture of the screen."""
        subprocess.run(["import", "-window", "root", str(path)], check=True, env=self._environment)

    def kill(self) -> None:
        """End the window without a warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._screen.kill()
        self._screen.wait()

    def close(self) -> None:
        """Press Q."""
        try:
            if self.process.poll() is None:
                self.press("q")
                self.process.wait(60)
        finally:
            self.kill()


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = _TIMEOUT_S) -> Any:
    """The first true value of ``condition``.

    Raises:
        RuntimeError: when there is none within the time; it says ``what`` was waited for.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"waited {timeout_s:.0f} s for {what}; see the logs of the run")
        time.sleep(0.01)
    return value


class Person:
    """Answers the query that the window shows, by the true returns in the store."""

    def __init__(self, store: Store, window: Window) -> None:
        self.store, self.window = store, window
        self.presses: list[dict[str, float]] = []
        """time, and resulting comparison, of each key press that became an answer"""

    def shown(self) -> int | None:
        """The query shown: the oldest that is leased to this person."""
        leases = self.store.leases()
        mine = sorted(lease.query_id for lease in leases if lease.annotator == self.window.annotator)
        return mine[0] if mine else None

    def answer(self, wrong: bool = False) -> bool:
        """Press the key for the higher true return; returns whether it became an answer."""
        query_id = self.shown()
        if query_id is None:
            time.sleep(0.05)
            return False
        first, second = (segment.true_return for segment in self.store.query(query_id).segments)
        key = "Up" if first == second else "Left" if (first > second) != wrong else "Right"
        return self.press(key)

    def press(self, key: str) -> bool:
        """Press a key and wait until it has become an answer; False when the window was not ready for one."""
        before = self.store.last_comparison_id()
        pressed_s = time.time()
        self.window.press(key)
        deadline_s = time.monotonic() + 2.0
        while time.monotonic() < deadline_s:
            if self.store.last_comparison_id() > before:
                self.presses.append({"pressed_s": pressed_s, "comparison": before + 1})
                return True
            time.sleep(0.002)
        return False


def delays_ms(store: Store, presses: list[dict[str, float]], annotator: str) -> list[float]:
    """Delays from a key press to the next clips on the screen, including xdotool's own time.

    A comparison records how long its query was shown before the answer, so the first frame of its query was on the
    screen at ``time_s - latency_s``. Presses after which there was no query to show are left out.
    """
    mine = [one for one in store.comparisons() if one.annotator == annotator]
    following = {one.id: after for one, after in itertools.pairwise(mine)}
    delays = []
    for press in presses:
        after = following.get(int(press["comparison"]))
        if after is not None:
            delay_s = after.time_s - after.latency_s - press["pressed_s"]
            if 0 <= delay_s < _MAX_DELAY_S:
                delays.append(1000 * delay_s)
    return delays
