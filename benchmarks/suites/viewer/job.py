"""A program labels a run in a person's place, by key presses at a real window.

Needs Xvfb, for a screen per person, and xdotool. It reads the true returns of the query shown from the run's store and
presses keys as a person would: it also ties, says that it can't tell, undoes and corrects answers, kills the window in
the middle of a query and opens it again, and lets a second annotator join from another terminal.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.processes import printed_result, training
from benchmarks.harness.runs import has_result, try_open_store
from benchmarks.suites.viewer.person import Person, Window, delays_ms, wait_for
from prefrl.storage import Store

_TRIES = 5
_PICTURE_SHARE = 0.9
"""of the labels, after which the picture is taken"""


class OtherActions:
    """Everything people do besides answering, at fixed numbers of answers.

    Args:
        run: being labelled.
        person: whose window is killed and opened again.
    """

    def __init__(self, run: Path, person: Person) -> None:
        self.other: Person | None = None
        """the second annotator, once there is one"""
        self.trials: dict[str, int] = {}
        """action -> how often it was done"""
        self._run, self._person = run, person

    def act(self, given: int) -> None:
        """Do what is due after this many answers."""
        if given % 20 == 7 and self._person.press("Down"):
            self._count("can't tell")
        if given % 25 == 11 and self._person.answer(wrong=True):
            self._undo()
        if given % 40 == 23:
            self._press_other_keys()
        if given == 60 and "killed" not in self.trials:
            self._kill_and_reopen()
        if given >= 90 and self.other is None:
            self._join()
        if self.other is not None and given % 3 == 2:
            self.other.answer()

    def _undo(self) -> None:
        """Take back a wrong answer; the right one supersedes it."""
        store, window = self._person.store, self._person.window
        wrong = store.comparisons()[-1]
        window.press("BackSpace")
        first, second = (one.true_return for one in store.query(wrong.query_id).segments)
        key = "Left" if first > second else "Right"
        # Keys do nothing until the query is shown again.
        if any(self._person.press(key) for _ in range(_TRIES)):
            self._count("undone")
            latest = store.comparisons()[-1]
            assert latest.supersedes == wrong.id, "undo answered another query"

    def _press_other_keys(self) -> None:
        for key in ("h", "Return", "space", "plus", "minus", "p", "p", "i", "Return"):
            self._person.window.press(key)
            time.sleep(0.05)
        self._count("other keys")

    def _kill_and_reopen(self) -> None:
        self._person.window.kill()
        self._person.window = Window(self._run, self._person.window.annotator)
        self._person.window.begin(self._person.store)
        self._count("killed")

    def _join(self) -> None:
        self.other = Person(self._person.store, Window(self._run, "bob"))
        self.other.window.begin(self._person.store)
        self._count("joined")

    def _count(self, name: str) -> None:
        self.trials[name] = self.trials.get(name, 0) + 1


def label(options: argparse.Namespace) -> dict[str, Any]:
    """Label the run until the budget is used up, and return what the store and the key presses say."""
    store = wait_for(lambda: try_open_store(options.run), "the run's store")
    wait_for(lambda: store.counts().open_queries, "the first query")
    person = Person(store, Window(options.run, "ann"))
    actions = OtherActions(options.run, person)
    try:
        person.window.begin(store)
        start_s = time.time()
        _answer_all(options, store, person, actions)
        minutes = (time.time() - start_s) / 60
    finally:
        for one in (person, actions.other):
            if one is not None:
                one.window.close()
    found = figures(store, person, minutes) | {"trials": actions.trials}
    store.close()
    return found


def _answer_all(options: argparse.Namespace, store: Store, person: Person, actions: OtherActions) -> None:
    given = 0
    while store.counts().labels < options.labels and not has_result(options.run):
        if options.tried:
            actions.act(given)
        given += person.answer()
        time.sleep(options.think)
        if options.picture is not None and given == round(_PICTURE_SHARE * options.labels):
            person.window.picture(options.picture)


def figures(store: Store, person: Person, minutes: float) -> dict[str, Any]:
    """Labels by annotator and kind, labels per minute, and delays of the keys in milliseconds."""
    delays = delays_ms(store, person.presses, person.window.annotator)
    counts = store.counts()
    return {
        "labels": counts.labels,
        "labels_by": store.label_counts(),
        "superseded": sum(one.supersedes is not None for one in store.comparisons()),
        "cant_tell": counts.cant_tell,
        "labels_a_minute": counts.labels / minutes,
        "delays": len(delays),
        "delay_ms_median": float(np.median(delays)) if delays else None,
        "delay_ms_p95": float(np.percentile(delays, 95)) if delays else None,
        "delay_ms_worst": max(delays) if delays else None,
    }


def main() -> None:
    """Train with the program as annotator, and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--think", type=float, default=0.3, metavar="SECONDS", help="pause between answers")
    parser.add_argument("--tried", action="store_true", help="do everything people do besides answering")
    parser.add_argument("--stop", action="store_true", help="end the training after the last label")
    parser.add_argument("--picture", type=Path, help="save a picture of the screen towards the end")
    parser.add_argument(
        "--train", nargs=argparse.REMAINDER, default=[], help="further arguments of prefrl train"
    )
    options = parser.parse_args()
    for tool in ("Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"{tool} is not installed; it is needed to show windows and press keys")
    words = ["--oracle", "human", "--no-viewer", "--labels", str(options.labels)]
    words += ["--seed", str(options.seed), "--run", str(options.run), *options.train]
    with training(options.preset, *words) as process:
        result = label(options)
        if options.stop:
            process.send_signal(signal.SIGINT)
        outcome = printed_result(process)
    print_result(outcome | result)


if __name__ == "__main__":
    main()
