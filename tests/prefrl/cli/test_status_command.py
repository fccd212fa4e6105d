from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prefrl.cli import main
from prefrl.config import RunConfig
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir


def test_half_created_running_killed_and_finished_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig())

    def status() -> str:
        assert main(["status", str(run.path)]) == 0
        return capsys.readouterr().out.replace("\n", " ")

    assert "not started" in status()
    with Store.open(run.store, create=True) as store:
        store.beat("policy", os.getpid(), "acting", "step 5")
        assert "running" in status()
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        store.beat("policy", child.pid, "acting", "step 5")
    assert "stopped" in status()
    run.result.write_text("{}")
    assert "finished" in status()


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 1
    assert "no config.json" in capsys.readouterr().err
    assert main(["status", str(tmp_path / "none")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_closed_pipe_is_not_an_error() -> None:
    # The reading end is closed before anything is written, as by `head`.
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "prefrl", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141
