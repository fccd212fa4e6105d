"""What jobs share: preparation, commands, options of a suite, pages, and prefrl as a process."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.harness import (
    ROOT,
    Job,
    Record,
    Suite,
    Virtualenv,
    heading,
    job_command,
    main,
    read_records,
    run_suite,
    train_job,
    true_reward_job,
    virtualenv,
    write_page,
)
from benchmarks.harness import cli as harness_cli
from benchmarks.harness.processes import printed_result, stop

QUIET = Console(file=io.StringIO())


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


class TestPreparation:
    def test_comes_before_the_command(self, tmp_path: Path) -> None:
        made = tmp_path / "made"
        job = Job(
            "task/method", 0, python(f"print('{{}}') if open({str(made)!r}) else 0"), prepare=made.touch
        )
        (record,) = run_suite("suite", [job], tmp_path / "suite.jsonl", console=QUIET)
        assert record.ok

    def test_is_skipped_for_a_job_with_a_result(self, tmp_path: Path) -> None:
        calls: list[int] = []
        job = Job("task/method", 0, python("print('{}')"), prepare=lambda: calls.append(1))
        for _ in range(2):
            run_suite("suite", [job], tmp_path / "suite.jsonl", console=QUIET)
        assert calls == [1]

    def test_failure_is_recorded_and_the_command_is_not_run(self, tmp_path: Path) -> None:
        def fail() -> None:
            raise FileNotFoundError("python9.9 is not on the PATH")

        ran = tmp_path / "ran"
        job = Job("task/method", 0, python(f"open({str(ran)!r}, 'w')"), prepare=fail)
        (record,) = run_suite("suite", [job], tmp_path / "suite.jsonl", console=QUIET)
        assert (record.ok, record.error) == (False, "python9.9 is not on the PATH")
        assert not ran.exists()


class TestVirtualenv:
    def test_without_its_python_names_the_version(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(virtualenv, "ROOT", tmp_path)
        monkeypatch.setattr(virtualenv, "WORK", tmp_path / "work")
        (tmp_path / "requirements.txt").write_text("peer==1.0\n")
        peer = Virtualenv("peer-venv", "requirements.txt", "9.9")
        assert peer.python == "work/peer-venv/bin/python"
        with pytest.raises(FileNotFoundError, match=r"python9\.9 is not on the PATH"):
            peer.ensure()

    def test_is_kept_while_the_requirements_are_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands: list[list[str]] = []

        def record(command: list[str], check: bool) -> None:
            commands.append(command[1:3])
            (tmp_path / "work" / "peer-venv").mkdir(parents=True, exist_ok=True)

        monkeypatch.setattr(virtualenv, "ROOT", tmp_path)
        monkeypatch.setattr(virtualenv, "WORK", tmp_path / "work")
        monkeypatch.setattr(subprocess, "run", record)
        requirements = tmp_path / "requirements.txt"
        requirements.write_text("peer==1.0\n")
        peer = Virtualenv(
            "peer-venv", "requirements.txt", f"{sys.version_info.major}.{sys.version_info.minor}"
        )
        peer.ensure()
        peer.ensure()
        assert commands == [["-m", "venv"], ["-m", "pip"]]
        requirements.write_text("peer==1.1\n")
        peer.ensure()
        assert len(commands) == 4


class TestCommands:
    def test_job_of_a_suite(self) -> None:
        assert job_command("kills", "--seed", "1")[1:] == ["-m", "benchmarks.suites.kills.job", "--seed", "1"]
        assert job_command("a", module="b")[2] == "benchmarks.suites.a.b"

    def test_training_goes_into_a_fresh_run_folder(self) -> None:
        run = ROOT / "runs" / "a"
        job = train_job("task/prefrl", 3, "pendulum", ["--steps", "10"], run, {"steps": 10})
        assert job.shown_command == "python -m prefrl.cli train pendulum --steps 10 --seed 3 --run runs/a"
        assert (job.scratch, job.config) == (run, {"steps": 10})
        assert set(job.env.values()) == {"1"}

    def test_true_reward(self) -> None:
        job = true_reward_job("task/ppo", 3, "pendulum", ["--normalize"], {})
        assert job.shown_command == "python -m benchmarks.harness.true_reward pendulum --normalize --seed 3"


class TestSuiteOptions:
    @pytest.fixture
    def suite(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
        monkeypatch.setattr(harness_cli, "ROOT", tmp_path)

        def jobs(seed: int, quick: bool, max_minutes: float) -> list[Job]:
            result = f"print('{{\"minutes\": {max_minutes}}}')"
            return [Job("task/a", seed, python(result))]

        options = {"--max-minutes": {"type": float, "default": 2.5}}
        return Suite("suite", jobs, lambda records, folder: None, options, default_seeds="4,5")

    @pytest.mark.parametrize(("words", "minutes"), [([], 2.5), (["--max-minutes", "7"], 7.0)])
    def test_reach_the_jobs(self, suite: Suite, tmp_path: Path, words: list[str], minutes: float) -> None:
        assert main(suite, words) == 0
        records = read_records(tmp_path / "benchmarks" / "results" / "suite.jsonl")
        assert [(record.seed, record.metrics["minutes"]) for record in records] == [
            (4, minutes),
            (5, minutes),
        ]

    def test_cores_are_those_of_the_suite(self, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[int | None] = []
        monkeypatch.setattr(harness_cli, "_keep_to_cores", kept.append)
        assert main(dataclasses.replace(suite, cores=2), ["--seeds", "0"]) == 0
        assert kept == [2]


class TestPage:
    def test_heading_tells_command_date_and_machine_of_the_newest_record(
        self, finished: Callable[..., Record]
    ) -> None:
        old = finished("mine", "a/b", 0, {}, started="2026-01-01T00:00:00", machine={"cpu": "slide rule"})
        new = finished("mine", "a/b", 1, {})
        assert heading("Mine", "mine", [new, old], "on {cores} cores of {cpu}.") == (
            "# Mine\n\n`python -m benchmarks.suites.mine`, 2026-01-02, on 2 cores of abacus. "
            "How to read this: [README](../README.md).\n"
        )

    def test_empty_parts_are_left_out(self, tmp_path: Path) -> None:
        write_page(tmp_path / "new", "mine", ["a\n", "", "b\n"])
        assert (tmp_path / "new" / "mine.md").read_text() == "a\n\nb\n"


class TestProcesses:
    def test_a_failed_run_names_its_logs(self, tmp_path: Path) -> None:
        process = subprocess.Popen(python("raise SystemExit(3)"))
        process.wait()
        with pytest.raises(RuntimeError, match=f"exit status 3; its logs are in {tmp_path}"):
            stop(process, tmp_path)

    def test_an_interrupted_run_has_not_failed(self, tmp_path: Path) -> None:
        code = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(130)); print(flush=True)"
        process = subprocess.Popen(python(f"{code}; signal.pause()"), stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        stop(process, tmp_path)
        assert process.returncode == 130
        process.stdout.close()

    @pytest.mark.parametrize(("printed", "result"), [("'noise\\n{\"a\": 1}'", {"a": 1}), ("''", {})])
    def test_result_is_the_last_line(self, printed: str, result: dict[str, int]) -> None:
        process = subprocess.Popen(python(f"print({printed})"), stdout=subprocess.PIPE, text=True)
        assert printed_result(process) == result
