"""The window that comes with a training."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from prefrl.cli.launch import _viewer
from prefrl.config import RunConfig
from prefrl.storage.run_dir import RunDir

pytestmark = pytest.mark.slow


def test_training_continues_when_the_window_fails_to_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig())
    told, deadline_s = "", time.monotonic() + 600
    with _viewer(run, trust=False):
        while "prefrl label" not in told:
            assert time.monotonic() < deadline_s, "the failure was not reported"
            time.sleep(0.05)
            told += capsys.readouterr().err
    assert f"the window failed, see {run.log('viewer')}" in told
    assert "its oracle is synthetic" in run.log("viewer").read_text()
