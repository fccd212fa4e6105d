"""metrics.jsonl: appending by several processes, reading on, and lines cut short."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prefrl.config import RunConfig
from prefrl.storage import metrics_file
from prefrl.storage.metrics_file import append_metrics, read_metrics
from prefrl.storage.run_dir import RunDir, RunDirError

ROOT = Path(__file__).parents[3]
CONFIG = RunConfig()


def test_metrics_are_read_from_an_offset(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    assert read_metrics(run.metrics) == ([], 0)
    run.append_metrics({"step": 1, "loss": 0.5})
    run.append_metrics({"step": 2, "loss": math.inf, "who": "agent"})

    records, offset = read_metrics(run.metrics)
    assert records == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None, "who": "agent"}]
    assert read_metrics(run.metrics, offset) == ([], offset)
    run.append_metrics({"step": 3})
    assert read_metrics(run.metrics, offset)[0] == [{"step": 3}]


def test_a_half_written_last_line_is_left_and_spoilt_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st')
    records, offset = read_metrics(path)
    assert (records, offset) == ([{"step": 1}], len('{"step": 1}\n'))

    with path.open("a") as file:
        file.write('ep": 2}\n{"ste{"step": 3}\n7\n{"step": 4}\n')
    assert read_metrics(path, offset)[0] == [{"step": 2}, {"step": 4}]


def test_processes_append_whole_lines(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    code = (
        "import sys; from prefrl.storage.run_dir import RunDir; run = RunDir.open(sys.argv[1])\n"
        "for step in range(300): run.append_metrics({'who': sys.argv[2], 'step': step, 'pad': 'x' * step})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(run.path), name], env=environment) for name in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]

    records, _ = read_metrics(run.metrics)
    for name in "ab":
        assert [record["step"] for record in records if record["who"] == name] == list(range(300))


# Lines cut short


@pytest.mark.parametrize(
    "torn",
    ['{"st', '{"step": 2', '{"step": 2, "a": {"step": 7}', "7", "\x00\x00\x00", "\x00" * 4096, "[" * 100_000],
)
def test_a_torn_line_costs_no_other_line(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "metrics.jsonl"
    append_metrics(path, {"step": 1})
    with path.open("a") as file:
        file.write(torn)
    assert read_metrics(path)[0] == [{"step": 1}]
    append_metrics(path, {"step": 3})
    append_metrics(path, {"step": 4})
    assert read_metrics(path)[0] == [{"step": 1}, {"step": 3}, {"step": 4}]


def test_a_line_that_lost_its_end_alone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}')
    append_metrics(path, {"step": 2})
    assert read_metrics(path)[0] == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_file_cut_off_anywhere_takes_the_next_line(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    append_metrics(path, {"step": 1})
    assert path.stat().st_size == 12
    os.truncate(path, 12 - cut)
    append_metrics(path, {"step": 2})
    assert read_metrics(path)[0][-1] == {"step": 2}


def test_a_line_torn_between_the_look_and_the_write_costs_no_other_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    append_metrics(path, {"step": 1})
    look = metrics_file._ends_line

    def overtaken(descriptor: int, size: int) -> bool:
        monkeypatch.setattr(metrics_file, "_ends_line", look)
        answer = look(descriptor, size)
        with path.open("a") as file:
            file.write('{"step": 2, ')
        return answer

    monkeypatch.setattr(metrics_file, "_ends_line", overtaken)
    append_metrics(path, {"step": 3})
    append_metrics(path, {"step": 4})
    assert read_metrics(path)[0] == [{"step": 1}, {"step": 3}, {"step": 4}]


def test_a_disk_that_takes_half_a_line_is_reported_and_the_next_line_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "metrics.jsonl", os.write
    append_metrics(path, {"step": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
        with pytest.raises(RunDirError, match=r"took 5 of 12 bytes; free some space"):
            append_metrics(path, {"step": 2})
    append_metrics(path, {"step": 3})
    assert read_metrics(path)[0] == [{"step": 1}, {"step": 3}]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_file_that_cannot_be_opened_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunDirError, match=rf"cannot be written \({os.strerror(number)}\)"):
        append_metrics(tmp_path / "metrics.jsonl", {"step": 1})
