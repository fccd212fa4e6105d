"""The benchmark harness: nothing is run twice, nothing is lost, and the numbers are what they claim."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.harness import (
    ROOT,
    Job,
    Output,
    Panel,
    Record,
    Suite,
    bootstrap_interval,
    failure_note,
    interquartile_mean,
    interval_column,
    iqm_column,
    last_json_line,
    main,
    mean_column,
    median_column,
    min_column,
    plot,
    plot_curves,
    ratio_column,
    read_records,
    reportable,
    run_suite,
    seeds_column,
    table,
)
from benchmarks.harness import cli as harness_cli
from benchmarks.harness.cli import parse_seeds
from benchmarks.harness.environment import portable
from benchmarks.harness.plots import common_curve
from benchmarks.harness.records import append_record

QUIET = Console(file=io.StringIO())


def python_job(code: str, name: str = "task/method", seed: int = 0, **settings: Any) -> Job:
    return Job(name, seed, [sys.executable, "-I", "-S", "-c", code], **settings)


def counting_job(counter: Path, **settings: Any) -> Job:
    """Adds a character to a file at every run and reports how many there are."""
    code = (
        f"from pathlib import Path; p = Path({str(counter)!r}); "
        "n = len(p.read_text()) + 1 if p.exists() else 1; p.write_text('x' * n); "
        "print('noise'); print('{\"score\": %d}' % n)"
    )
    return python_job(code, **settings)


def record(job: str, seed: int = 0, **changes: Any) -> Record:
    plain = Record(
        suite="suite",
        job=job,
        seed=seed,
        command="python x.py",
        env={},
        config={},
        config_hash="0" * 16,
        ok=True,
        metrics={},
        curve=(),
        error=None,
        wall_s=1.0,
        started="2026-01-01T00:00:00+00:00",
        versions={},
        machine={"cpu": "abacus", "cores": 2, "memory_gib": 1.0},
        git_commit=None,
    )
    return dataclasses.replace(plain, **changes)


class TestRunning:
    def run(self, path: Path, *jobs: Job, **options: Any) -> list[Record]:
        return run_suite("suite", jobs, path, console=QUIET, **options)

    def test_a_job_with_a_result_is_not_run_again(self, tmp_path: Path) -> None:
        results, job = tmp_path / "suite.jsonl", counting_job(tmp_path / "count")
        assert [each.metrics for each in self.run(results, job)] == [{"score": 1}]
        assert self.run(results, job) == []
        assert len(read_records(results)) == 1

    @pytest.mark.parametrize(
        "changes", [{"seed": 1}, {"name": "task/other"}, {"config": {"steps": 2}}, {"env": {"THREADS": "2"}}]
    )
    def test_another_seed_name_config_or_environment_is_another_job(
        self, tmp_path: Path, changes: Mapping[str, Any]
    ) -> None:
        results, counter = tmp_path / "suite.jsonl", tmp_path / "count"
        self.run(results, counting_job(counter, config={"steps": 1}))
        (again,) = self.run(results, counting_job(counter, **{"config": {"steps": 1}, **changes}))
        assert again.metrics == {"score": 2}

    def test_fresh_runs_again_and_the_newest_result_counts(self, tmp_path: Path) -> None:
        results, job = tmp_path / "suite.jsonl", counting_job(tmp_path / "count")
        self.run(results, job)
        self.run(results, job, fresh=True)
        assert [each.metrics["score"] for each in read_records(results)] == [1, 2]
        assert [each.metrics["score"] for each in reportable(read_records(results))] == [2]

    def test_a_failure_is_recorded_then_retried(self, tmp_path: Path) -> None:
        results, switch = tmp_path / "suite.jsonl", tmp_path / "switch"
        job = python_job(
            f"import pathlib, sys; ok = pathlib.Path({str(switch)!r}).exists(); "
            "print('{}') if ok else sys.exit('the oracle left')"
        )
        (failed,) = self.run(results, job)
        assert not failed.ok
        assert failed.error == "the oracle left\nexit status 1"
        assert failed.metrics == {}
        switch.touch()
        (retried,) = self.run(results, job)
        assert retried.ok
        assert retried.error is None
        assert self.run(results, job) == []

    @pytest.mark.parametrize("printed", ["", "not json", "[1]", '{"half": '])
    def test_output_without_a_result_is_a_failure(self, tmp_path: Path, printed: str) -> None:
        (failed,) = self.run(tmp_path / "suite.jsonl", python_job(f"print({printed!r})"))
        assert not failed.ok
        assert "must be one JSON object" in (failed.error or "")

    def test_a_missing_program_is_a_failure_and_the_next_job_runs(self, tmp_path: Path) -> None:
        records = self.run(
            tmp_path / "suite.jsonl", Job("task/a", 0, ["no-such-program"]), python_job("print('{}')")
        )
        assert [each.ok for each in records] == [False, True]

    def test_jobs_run_in_the_order_given(self, tmp_path: Path) -> None:
        jobs = [python_job("print('{}')", seed=seed) for seed in (3, 1, 2)]
        assert [each.seed for each in self.run(tmp_path / "suite.jsonl", *jobs)] == [3, 1, 2]

    def test_environment_and_scratch_folder(self, tmp_path: Path) -> None:
        scratch = tmp_path / "run"
        scratch.mkdir()
        (scratch / "old").touch()
        code = (
            "import os, json, pathlib; "
            f"print(json.dumps([os.environ['THREADS'], pathlib.Path({str(scratch)!r}).exists()]))"
        )
        parse: Callable[[str], Output] = lambda text: Output({"said": json.loads(text)})  # noqa: E731
        job = python_job(code, env={"THREADS": "1"}, scratch=scratch, parse=parse)
        (done,) = self.run(tmp_path / "suite.jsonl", job)
        assert done.metrics == {"said": ["1", False]}

    def test_curve_and_versions_are_kept_apart_from_the_metrics(self, tmp_path: Path) -> None:
        result = {"score": 1.5, "curve": [{"steps": 1, "true_return": 2.0}], "versions": {"numpy": "0.1"}}
        self.run(tmp_path / "suite.jsonl", python_job(f"print({json.dumps(result)!r})"))
        (done,) = read_records(tmp_path / "suite.jsonl")
        assert done.metrics == {"score": 1.5}
        assert done.curve == [{"steps": 1, "true_return": 2.0}]
        assert done.versions["numpy"] == "0.1"


class TestRecords:
    def test_no_machine_paths(self, tmp_path: Path) -> None:
        job = Job(
            "task/method",
            0,
            [sys.executable, str(ROOT / "benchmarks" / "no_such_script.py"), f"--run={tmp_path}/runs"],
            env={"CACHE": str(tmp_path / "cache")},
        )
        run_suite("suite", [job], tmp_path / "suite.jsonl", console=QUIET)
        text = (tmp_path / "suite.jsonl").read_text()
        for path in (ROOT, tmp_path, Path.home(), Path(sys.prefix), Path(sys.base_prefix)):
            assert str(path) not in text
        assert '"command": "python benchmarks/no_such_script.py --run=.../runs"' in text

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f"{ROOT}/prefrl/types.py", "prefrl/types.py"),
            (f"cd {ROOT}", "cd ."),
            ('File "/usr/lib/python9/json/decoder.py", line 3', 'File ".../decoder.py", line 3'),
            ("see https://example.org/a/b", "see https://example.org/a/b"),
            ("benchmarks/.work/x 3/4 ./a/b", "benchmarks/.work/x 3/4 ./a/b"),
        ],
    )
    def test_portable(self, text: str, expected: str) -> None:
        assert portable(text) == expected

    def test_names_what_the_result_rests_on(self, tmp_path: Path) -> None:
        (done,) = run_suite("suite", [python_job("print('{}')")], tmp_path / "suite.jsonl", console=QUIET)
        assert set(done.versions) == {
            *("python", "torch", "gymnasium", "stable_baselines3", "numpy", "prefrl", "platform")
        }
        assert set(done.machine) == {"cpu", "cores", "memory_gib"}
        assert done.wall_s > 0

    def test_a_broken_line_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "suite.jsonl"
        append_record(path, record("task/a"))
        path.write_text(path.read_text() + '{"suite": \n')
        with pytest.raises(ValueError, match=r"suite\.jsonl:2 is no benchmark record"):
            read_records(path)

    def test_reports_never_mix_configs(self) -> None:
        old = [record("task/a", seed, config_hash="old") for seed in (0, 1)]
        new = record("task/a", 1, config_hash="new")
        other = record("task/b", 0, config_hash="old")
        assert reportable([*old, other, new]) == [new, other]


class TestStatistics:
    @pytest.mark.parametrize(
        ("scores", "expected"),
        [
            ([7], 7.0),
            ([1, 100, 2], 103 / 3),  # floor(3 / 4) = 0: nothing is dropped
            ([100, 1, 3, 2, -50], 2.0),  # one on each side
            ([8, 1, 7, 2, 6, 3, 5, 4], 4.5),  # two on each side
        ],
    )
    def test_interquartile_mean(self, scores: list[float], expected: float) -> None:
        assert interquartile_mean(scores) == pytest.approx(expected)

    def test_interquartile_mean_of_nothing(self) -> None:
        with pytest.raises(ValueError, match="0 scores"):
            interquartile_mean([])

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
    def test_interquartile_mean_lies_within_and_ignores_order(self, scores: list[float]) -> None:
        iqm = float(interquartile_mean(scores))
        assert min(scores) - 1e-6 <= iqm <= max(scores) + 1e-6
        assert iqm == pytest.approx(float(interquartile_mean(scores[::-1])))

    def test_interval_of_two_scores_by_enumeration(self) -> None:
        """Resamples of {0, 1} have mean 0, 1/2, 1 with probability 1/4, 1/2, 1/4."""
        assert bootstrap_interval([[0.0, 1.0]]) == (0.0, 1.0)
        assert bootstrap_interval([[0.0, 1.0]], confidence=0.4) == (0.5, 0.5)

    def test_strata_are_resampled_apart(self) -> None:
        """Pooled at random the mean would vary; within strata of equal scores it cannot."""
        assert bootstrap_interval([[0.0] * 5, [1.0] * 5], statistic=lambda x: x.mean(axis=-1)) == (0.5, 0.5)

    def test_interval_covers_the_truth_about_as_often_as_it_says(self) -> None:
        """400 samples of 20; were the coverage 0.85 or less, 350 or more would have p < 0.1."""
        samples = np.random.default_rng(0).normal(3.0, 2.0, size=(400, 20))
        intervals = [bootstrap_interval([sample], resamples=500) for sample in samples]
        covered = sum(low <= 3.0 <= high for low, high in intervals)
        assert 350 <= covered < 400


SCORES = {"ours": (10.0, 20.0, 30.0, 40.0, 90.0), "peer": (1.0, 2.0, 3.0)}
SPEEDS = {"ours": (300.0, 300.0, 300.0, 300.0, 1000.0), "peer": (100.0, 200.0, 300.0)}


def example_records() -> list[Record]:
    return [
        record(f"task/{method}", seed, metrics={"score": score, "speed": speed})
        for method in SCORES
        for seed, (score, speed) in enumerate(zip(SCORES[method], SPEEDS[method], strict=True))
    ]


class TestTable:
    def test_text(self) -> None:
        columns = [
            seeds_column(),
            iqm_column("score", "Score"),
            mean_column("score"),
            min_column("score"),
            median_column("speed", "Steps/s"),
            ratio_column("speed", baseline="peer", label="Steps/s"),
        ]
        assert table(example_records(), columns) == (
            "| Task | Method | Seeds | Score, IQM | Mean | Min | Steps/s, median | Steps/s, times peer |\n"
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            "| task | ours | 5 | 30 | 38 | 10 | 300 | 1.50 (1.00 to 3.00) |\n"
            "| task | peer | 3 | 2 | 2 | 1 | 200 | 1.00 (1.00 to 1.00) |\n"
        )

    def test_interval_holds_the_scores_and_absent_metrics_show_as_absent(self) -> None:
        text = table([record("task/a", metrics={"score": 5.0})], [interval_column("score"), mean_column("x")])
        assert text.splitlines()[-1] == "| task | a | 5 to 5 | - |"

    def test_failed_jobs_are_named_and_left_out(self) -> None:
        records = [*example_records(), record("task/broken", 4, ok=False, error="boom")]
        assert "broken" not in table(records, [seeds_column()])
        assert failure_note(records) == "Failed, so not in the table: task/broken seed 4.\n"
        assert failure_note(example_records()) == ""


class TestPlots:
    PNG = b"\x89PNG"

    def test_methods(self, tmp_path: Path) -> None:
        records = [*example_records(), record("second/ours", metrics={"score": 1.0, "speed": 2.0})]
        plot(records, [Panel("score", "Score"), Panel("speed", "Steps per second")], tmp_path / "a" / "p.png")
        assert (tmp_path / "a" / "p.png").read_bytes().startswith(self.PNG)

    def test_curves(self, tmp_path: Path) -> None:
        curve = [{"steps": step, "true_return": float(step)} for step in (0, 10, 20)]
        records = [record("task/a", seed, curve=curve) for seed in range(3)]
        plot_curves(records, "steps", Panel("true_return", "True return"), tmp_path / "c.png", "Steps")
        assert (tmp_path / "c.png").read_bytes().startswith(self.PNG)

    def test_curves_meet_where_all_seeds_have_points(self) -> None:
        long = record("task/a", 0, curve=[{"x": 0, "y": 0.0}, {"x": 10, "y": 10.0}])
        short = record("task/a", 1, curve=[{"x": 2, "y": 5.0}, {"x": 6, "y": 7.0}])
        points, seeds = common_curve([long, short], "x", "y")
        assert (points[0], points[-1]) == (2, 6)
        np.testing.assert_allclose(seeds[0], points)
        np.testing.assert_allclose(seeds[1], 5 + (points - 2) / 2)

    def test_nothing_to_draw(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="nothing to draw"):
            plot([], [Panel("score", "Score")], tmp_path / "p.png")


class TestCommandLine:
    @pytest.fixture
    def suite(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
        monkeypatch.setattr(harness_cli, "ROOT", tmp_path)
        monkeypatch.setattr(harness_cli, "WORK", tmp_path / "work")

        def jobs(seed: int, quick: bool) -> list[Job]:
            result = f'print(\'{{"score": {seed}.0, "quick": {int(quick)}}}\')'
            return [python_job(result, f"task/{name}", seed) for name in ("a", "b")]

        def report(records: object, folder: Path) -> None:
            assert isinstance(records, list)
            (folder / "suite.md").write_text(table(records, [mean_column("score")]))

        return Suite("suite", jobs, report)

    def test_runs_what_is_asked_and_reports(self, suite: Suite, tmp_path: Path) -> None:
        assert main(suite, ["--seeds", "1-3", "--only", "*/a"]) == 0
        results = tmp_path / "benchmarks" / "results"
        assert [(each.job, each.seed) for each in read_records(results / "suite.jsonl")] == [
            ("task/a", seed) for seed in (1, 2, 3)
        ]
        assert (results / "suite.md").read_text().splitlines()[-1] == "| task | a | 2 |"

    def test_report_runs_nothing(self, suite: Suite, tmp_path: Path) -> None:
        results = tmp_path / "benchmarks" / "results"
        append_record(results / "suite.jsonl", record("task/a", metrics={"score": 7.0}))
        assert main(suite, ["--report"]) == 0
        assert len(read_records(results / "suite.jsonl")) == 1
        assert (results / "suite.md").read_text().splitlines()[-1] == "| task | a | 7 |"

    def test_quick_jobs_stay_out_of_the_results(self, suite: Suite, tmp_path: Path) -> None:
        main(suite, ["--quick", "--seeds", "0"])
        assert not (tmp_path / "benchmarks").exists()
        quick = read_records(tmp_path / "work" / "quick" / "suite.jsonl")
        assert [each.metrics["quick"] for each in quick] == [1, 1]

    def test_failure_is_the_exit_status(self, suite: Suite) -> None:
        broken = dataclasses.replace(suite, jobs=lambda seed, quick: [python_job("raise SystemExit(3)")])
        assert main(broken, ["--seeds", "0"]) == 1

    def test_unknown_job_lists_the_known(self, suite: Suite) -> None:
        with pytest.raises(SystemExit, match="task/a, task/b"):
            main(suite, ["--only", "task/c", "--seeds", "0"])

    @pytest.mark.parametrize(
        ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("3", [3]), ("0,2,7-9", [0, 2, 7, 8, 9])]
    )
    def test_seeds(self, text: str, seeds: list[int]) -> None:
        assert parse_seeds(text) == seeds

    @pytest.mark.parametrize("text", ["", "4-0", "a", "1-", "0,", "-1"])
    def test_bad_seeds(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError, match="write them as 0-4"):
            parse_seeds(text)


def test_last_json_line_ignores_what_comes_before() -> None:
    assert last_json_line('{"a": 1}\nprogress\n{"b": 2}\n\n').metrics == {"b": 2}
