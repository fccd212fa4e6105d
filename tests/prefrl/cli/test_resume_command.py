"""`prefrl resume` of a run without its store."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefrl.cli import main
from prefrl.runtime.result import read_result
from prefrl.storage.run_dir import RunDir


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restores the signal handlers that the command replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("is_empty", [False, True])
@pytest.mark.parametrize(
    "left", ["metrics.jsonl", "reward/latest.json", "agent/latest.json", "logs/policy.log"]
)
def test_a_run_with_progress_is_not_started_again(
    trained: RunDir, fresh: RunDir, capsys: pytest.CaptureFixture[str], left: str, is_empty: bool
) -> None:
    fresh.store.unlink()
    if is_empty:
        fresh.store.touch()
    if left.startswith("logs"):
        (fresh.path / left).touch()
    else:
        shutil.copy(trained.path / left, fresh.path / left)
    assert main(["resume", str(fresh.path)]) == 1
    said = capsys.readouterr().err
    assert f"{fresh.store} {'is empty' if is_empty else 'does not exist'}" in said
    assert f"({fresh.path / left} is there)" in said
    assert "restore it from a copy" in said
    assert fresh.store.exists() == is_empty
    assert not is_empty or fresh.store.stat().st_size == 0


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_run_killed_before_its_store_was_created_can_be_resumed(
    fresh: RunDir, capsys: pytest.CaptureFixture[str], is_empty: bool
) -> None:
    fresh.store.unlink()
    if is_empty:
        fresh.store.touch()
    assert main(["resume", str(fresh.path)]) == 0
    result = read_result(fresh)
    assert result is not None
    assert result.labels == 12


def test_a_finished_run_prints_its_result_without_a_store(
    trained: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    (tmp_path / "run" / "store.sqlite").unlink()
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert '"labels": 12' in capsys.readouterr().out
