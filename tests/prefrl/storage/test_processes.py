"""Several processes on one store, some of them killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from prefrl.storage import Store

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@contextmanager
def working(task: str, path: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `answering_process.py`, ended at the latest when the test is."""
    command = [sys.executable, str(HERE / "answering_process.py"), task, str(path), name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_was_acknowledged_outlives_sigkill(
    store: Store, ask: Callable[..., int], tmp_path: Path, seed: int
) -> None:
    assert ask(1, 2) == 1
    random_lines = random.Random(seed)
    acknowledged: list[int] = []
    with ExitStack() as stack:
        names = ["ann", "bob", "cem"]
        writers = [stack.enter_context(working("answer", tmp_path / "store.sqlite", name)) for name in names]
        for writer in writers:
            assert writer.stdout is not None
            for _ in range(random_lines.randint(1, 25)):
                acknowledged += map(int, writer.stdout.readline().split())
            # by now it is somewhere in a later transaction
            writer.kill()
            *whole, torn = writer.stdout.read().split("\n")
            acknowledged += [int(number) for line in whole for number in line.split()]
            assert torn.count(" ") <= 1

    stored = {comparison.id: comparison for comparison in store.comparisons()}
    assert set(acknowledged) <= set(stored)
    assert list(stored) == list(range(1, len(stored) + 1))
    assert store._db.value("PRAGMA integrity_check") == "ok"
    assert store._db.rows("PRAGMA foreign_key_check") == []
    assert len(stored) % 2 == 0, "two answers a transaction: both or none"
    # the survivor of three chains of answers, one an annotator
    assert [item.comparison.ranks for item in store.labelled()] == [None, None, None]
    store.beat("reward", 1, "no lock was left behind")


def test_no_query_is_leased_to_two_processes(store: Store, ask: Callable[..., int], tmp_path: Path) -> None:
    queries = [ask(number, number + 1) for number in range(60)]
    with ExitStack() as stack:
        path = tmp_path / "store.sqlite"
        askers = [stack.enter_context(working("lease", path, name)) for name in ("ann", "bob")]
        outputs = [process.communicate()[0] for process in askers]
    assert [process.returncode for process in askers] == [0, 0]
    leased = [int(line) for output in outputs for line in output.split()]

    assert sorted(leased) == queries
    assert store.counts().labels == len(queries)


def test_processes_may_create_a_store_at_the_same_time(store: Store, tmp_path: Path) -> None:
    path, names = tmp_path / "store.sqlite", ["ann", "bob", "cem", "dan"]
    with ExitStack() as stack:
        creators = [stack.enter_context(working("create", path, name)) for name in names]
        assert [process.wait() for process in creators] == [0, 0, 0, 0]

    for number in range(10):
        with Store.open(f"{path}-{number}") as new:
            assert [worker.name for worker in new.workers()] == names
