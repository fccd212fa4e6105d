from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from prefrl.config import RunConfig
from prefrl.runtime.tensorboard import TensorboardMirror, count_events, scalars
from prefrl.storage.run_dir import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", RunConfig())


def record(run: RunDir, step: int) -> None:
    run.append_metrics({"source": "policy", "policy_step": step, "true_return": step / 2, "note": "words"})


def mirror(run: RunDir) -> None:
    tensorboard = TensorboardMirror(run)
    tensorboard.update()
    tensorboard.close()


def points(run: RunDir, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(run.tensorboard))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_numbers_get_tags_by_source() -> None:
    given = {"source": "reward", "policy_step": 3, "labels": 7, "l2": 0.5, "note": "words", "loss": None}
    assert scalars(given) == {"reward/labels": 7.0, "reward/l2": 0.5}


def test_new_metrics_are_copied(run: RunDir) -> None:
    tensorboard = TensorboardMirror(run)
    tensorboard.update()
    assert list(run.tensorboard.iterdir()) == []
    record(run, 10)
    tensorboard.update()
    assert points(run, "policy/true_return") == [(10, 5.0)]
    record(run, 20)
    run.append_metrics({"source": "reward", "policy_step": 20, "accuracy_validation": 0.75})
    tensorboard.update()
    assert points(run, "policy/true_return") == [(10, 5.0), (20, 10.0)]
    assert points(run, "reward/accuracy_validation") == [(20, 0.75)]
    tensorboard.close()


def test_a_resumed_run_appends_without_repeating(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    # Event files are read in the order of their names, which begin with the time in seconds.
    seconds = itertools.count(time.time())
    monkeypatch.setattr(time, "time", lambda: next(seconds))
    record(run, 10)
    mirror(run)
    record(run, 20)
    record(run, 30)
    mirror(run)
    mirror(run)
    record(run, 40)
    mirror(run)
    assert [step for step, _ in points(run, "policy/true_return")] == [10, 20, 30, 40]


@pytest.mark.parametrize("cut_bytes", [1, 30])
def test_an_incomplete_event_is_written_again(run: RunDir, cut_bytes: int) -> None:
    record(run, 10)
    record(run, 20)
    mirror(run)
    (path,) = run.tensorboard.iterdir()
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    assert count_events(path) == 1
    mirror(run)
    assert [step for step, _ in points(run, "policy/true_return")] == [10, 20]


def test_event_files_of_other_programs_are_ignored(run: RunDir) -> None:
    (run.tensorboard / "events.out.tfevents.1.host.of-another").write_bytes(b"\0" * 100)
    record(run, 10)
    mirror(run)
    assert sum(count_events(path) for path in run.tensorboard.glob("*.prefrl")) == 1


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert count_events(tmp_path / "empty") == 0


def test_copying_imports_no_torch(run: RunDir) -> None:
    record(run, 10)
    code = (
        "import sys; from prefrl.storage.run_dir import RunDir;"
        "from prefrl.runtime.tensorboard import TensorboardMirror;"
        f"m = TensorboardMirror(RunDir.open({str(run.path)!r})); m.update(); m.close();"
        "print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    assert points(run, "policy/true_return") == [(10, 5.0)]
