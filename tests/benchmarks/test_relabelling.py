"""The suite on relabelling: its commands, curves and report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Record
from benchmarks.harness.learning import training_curve
from benchmarks.suites.relabelling import suite as relabelling
from prefrl.storage import Episode


class TestJobs:
    def test_methods_differ_by_one_flag(self) -> None:
        relabelled, kept = relabelling.jobs(2, quick=False)
        assert (relabelled.name, kept.name) == ("pendulum-sac/relabelled", "pendulum-sac/not-relabelled")
        assert relabelled.shown_command == (
            "python -m prefrl.cli train pendulum-sac --launcher serial --labels 150 --steps 15000 --seed 2 "
            "--run benchmarks/.work/runs/relabelling/relabelled-2"
        )
        assert set(kept.command) - set(relabelled.command) == {
            "--agent.no-relabel",
            "benchmarks/.work/runs/relabelling/not-relabelled-2",
        }


class TestTrainingCurve:
    def test_a_point_is_the_mean_of_the_newest_episodes(self) -> None:
        episodes = [Episode(200 * n, float(score), 200) for n, score in enumerate((-8, -4, -6, 2), 1)]
        assert training_curve(episodes, newest=2) == [
            {"steps": 400, "true_return": -6.0},
            {"steps": 600, "true_return": -5.0},
            {"steps": 800, "true_return": -2.0},
        ]

    def test_too_few_episodes_make_no_curve(self) -> None:
        assert training_curve([Episode(200, -1.0, 200)], newest=2) == []


def test_report(tmp_path: Path, finished: Callable[..., Record]) -> None:
    scores = {"relabelled": -150.0, "not-relabelled": -300.0}
    known = {"labels": 150, "steps": 15_000, "episodes": 20, "reward_accuracy_validation": 0.9}
    records = [
        finished(
            "relabelling",
            f"pendulum-sac/{method}",
            seed,
            known | {"true_return_mean": score},
            curve=[{"steps": 1000, "true_return": -1000.0}, {"steps": 15_000, "true_return": score}],
        )
        for method, score in scores.items()
        for seed in range(2)
    ]
    relabelling.report(records, tmp_path)
    text = (tmp_path / "relabelling.md").read_text()
    assert "150 synthetic labels, 15,000 steps" in text
    assert "| pendulum-sac | not-relabelled | 2 | -300 | -300 to -300 | -300 | -300 | 0.9 |" in text
    assert (tmp_path / "relabelling.png").stat().st_size > 0
    assert (tmp_path / "relabelling_curves.png").stat().st_size > 0
