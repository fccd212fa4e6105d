"""One measurement of `viewer`: a program plays the person at a real window, by real key presses.

Needs Xvfb, for a screen a person, and xdotool. It reads the true return of the query on the desk from the
run's store, and presses keys as somebody would: it also ties, says that it can't tell, takes back and corrects answers,
leaves and comes back, kills the viewer in mid-query, and lets somebody else join from another terminal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir

SCREEN = "1600x900x24"
_PATIENCE_S = 300.0
_GLANCE_S = 1.0
_TRIES = 5
_PICTURE_SHARE = 0.9
"""of the labels, after which the picture is taken"""


class Window:
    """A viewer on a screen of its own, and the keys pressed at it."""

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
        command = [sys.executable, "-m", "prefrl.cli", "label", str(run), "--annotator", annotator]
        self._environment = os.environ | {"DISPLAY": self.display}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=sys.stderr, env=self._environment
        )

    def press(self, key: str) -> None:
        """Press and release a key."""
        subprocess.run(["xdotool", "key", key], check=True, env=self._environment)

    def begin(self, store: Store) -> None:
        """Leave the instructions once the window is there, and wait until the first query is on the desk."""
        # It is seen at its first sign of life.
        until(lambda: any(worker.name.endswith(f" {self.annotator}") for worker in store.workers()))
        time.sleep(_GLANCE_S)
        self.press("Return")
        until(lambda: any(lease.annotator == self.annotator for lease in store.leases()))
        time.sleep(_GLANCE_S)

    def picture(self, path: Path) -> None:
        """Save what the screen shows."""
        subprocess.run(["import", "-window", "root", str(path)], check=True, env=self._environment)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._screen.kill()
        self._screen.wait()

    def leave(self) -> None:
        """Press Q."""
        try:
            if self.process.poll() is None:
                self.press("q")
                self.process.wait(60)
        finally:
            self.kill()


def until(found: Callable[[], Any], patience_s: float = _PATIENCE_S) -> Any:
    """What ``found`` gives once it is true."""
    deadline_s = time.monotonic() + patience_s
    while not (value := found()):
        if time.monotonic() > deadline_s:
            raise RuntimeError("waited in vain")
        time.sleep(0.01)
    return value


class Person:
    """Looks at what the window shows, in the store, and answers it."""

    def __init__(self, store: Store, window: Window, seed: int) -> None:
        self.store, self.window = store, window
        self._rng = np.random.default_rng(seed)
        self.presses: list[dict[str, float]] = []
        """of each press that answered: when, and which comparison it made"""

    def shown(self) -> int | None:
        """The query on the desk: the oldest that is leased to this person."""
        leases = self.store.leases()
        mine = sorted(lease.query_id for lease in leases if lease.annotator == self.window.annotator)
        return mine[0] if mine else None

    def answer(self, wrong: bool = False) -> bool:
        """Press the key that the true returns ask for; returns whether it became an answer."""
        query_id = self.shown()
        if query_id is None:
            time.sleep(0.05)
            return False
        first, second = (segment.true_return for segment in self.store.query(query_id).segments)
        key = "Up" if first == second else "Left" if (first > second) != wrong else "Right"
        return self.press(key)

    def press(self, key: str) -> bool:
        """Press a key and wait until it has become an answer; False where the window was not ready for one."""
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
    """From a key press to the next clips on the screen, xdotool's own time included.

    A comparison knows how long its query was shown when it was answered, so its query's first picture was on the screen
    at ``time_s - latency_s``. Left out are presses after which nothing was there to be shown.
    """
    mine = [one for one in store.comparisons() if one.annotator == annotator]
    following = {one.id: after for one, after in itertools.pairwise(mine)}
    delays = []
    for press in presses:
        after = following.get(int(press["comparison"]))
        if after is not None:
            delay_s = after.time_s - after.latency_s - press["pressed_s"]
            if 0 <= delay_s < 1.0:
                delays.append(1000 * delay_s)
    return delays


def teach(
    run: Path, labels: int, seed: int, think_s: float, is_tried: bool, picture: Path | None = None
) -> dict[str, Any]:
    """Label until the budget is used up.

    Args:
        run: at work.
        labels: the budget.
        seed: of what the person does by chance.
        think_s: between two answers.
        is_tried: whether to take back, leave, die and be joined as well.
        picture: of the screen, taken towards the end.
    """
    store = until(lambda: _opened(RunDir(run).store))
    until(lambda: store.counts().open_queries)
    window = Window(run, "ann")
    person, other, trials = Person(store, window, seed), None, dict[str, int]()
    try:
        window.begin(store)
        began_s, given = time.time(), 0
        while store.counts().labels < labels and not RunDir(run).result.exists():
            if is_tried:
                other = _try(given, person, trials, run, other)
            if other is not None and given % 3 == 2:
                other.answer()
            if person.answer():
                given += 1
            time.sleep(think_s)
            if picture is not None and given == round(_PICTURE_SHARE * labels):
                person.window.picture(picture)
        minutes = (time.time() - began_s) / 60
    finally:
        for one in (person, other):
            if one is not None:
                one.window.leave()
    delays = delays_ms(store, person.presses, "ann")
    counts, superseded = store.counts(), sum(one.supersedes is not None for one in store.comparisons())
    by_annotator = store.label_counts()
    store.close()
    return {
        "labels": counts.labels,
        "labels_by": by_annotator,
        "superseded": superseded,
        "cant_tell": counts.cant_tell,
        "trials": trials,
        "labels_a_minute": counts.labels / minutes,
        "delays": len(delays),
        "delay_ms_median": float(np.median(delays)) if delays else None,
        "delay_ms_p95": float(np.percentile(delays, 95)) if delays else None,
        "delay_ms_worst": max(delays) if delays else None,
    }


def _opened(path: Path) -> Store | None:
    """The store, once the run has made it."""
    try:
        return Store.open(path)
    except StoreError:
        return None


def _try(
    given: int, person: Person, trials: dict[str, int], run: Path, other: Person | None
) -> Person | None:
    """Now and then do what people do beside answering; returns the second annotator, once there is one."""

    def count(name: str) -> None:
        trials[name] = trials.get(name, 0) + 1

    if given % 20 == 7 and person.press("Down"):
        count("can't tell")
    if given % 25 == 11 and person.answer(wrong=True):
        # A slip, and taken back: the right answer supersedes it.
        slip = person.store.comparisons()[-1]
        person.window.press("BackSpace")
        first, second = (one.true_return for one in person.store.query(slip.query_id).segments)
        key = "Left" if first > second else "Right"
        # Keys do nothing until the query is back.
        if any(person.press(key) for _ in range(_TRIES)):
            count("undone")
            latest = person.store.comparisons()[-1]
            assert latest.supersedes == slip.id, "undo answered another query"
    if given % 40 == 23:
        for key in ("h", "Return", "space", "plus", "minus", "p", "p", "i", "Return"):
            person.window.press(key)
            time.sleep(0.05)
        count("other keys")
    if given == 60 and "killed" not in trials:
        person.window.kill()
        person.window = Window(run, "ann")
        person.window.begin(person.store)
        count("killed")
    if given >= 90 and other is None:
        other = Person(person.store, Window(run, "bob"), 1)
        other.window.begin(person.store)
        count("joined")
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--think", type=float, default=0.3, metavar="SECONDS")
    parser.add_argument("--tried", action="store_true", help="do all that people do, beside answering")
    parser.add_argument("--stop", action="store_true", help="end the training with the last label")
    parser.add_argument("--picture", type=Path, help="save what the screen shows, towards the end")
    parser.add_argument(
        "--train", nargs=argparse.REMAINDER, default=[], help="further words for prefrl train"
    )
    options = parser.parse_args()
    for tool in ("Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"{tool} is not installed; it is needed to show windows and press keys")
    command = [
        sys.executable,
        "-m",
        "prefrl.cli",
        "train",
        options.preset,
        "--oracle",
        "human",
        "--no-viewer",
    ]
    command += ["--labels", str(options.labels), "--seed", str(options.seed), "--run", str(options.run)]
    training = subprocess.Popen(
        [*command, *options.train], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    try:
        result = teach(
            options.run, options.labels, options.seed, options.think, options.tried, options.picture
        )
        if options.stop:
            training.send_signal(signal.SIGINT)
        printed, _ = training.communicate()
        outcome = json.loads(printed.splitlines()[-1]) if printed.strip() else {}
    finally:
        if training.poll() is None:
            training.send_signal(signal.SIGINT)
            training.wait()
    print(json.dumps(outcome | result))


if __name__ == "__main__":
    main()
