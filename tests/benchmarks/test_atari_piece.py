from __future__ import annotations

from pathlib import Path

from benchmarks.atari_piece import curve_of
from prefrl.config import EnvConfig, RunConfig
from prefrl.storage.run_dir import RunDir


def test_the_curve_leaves_out_what_was_done_again_after_a_kill(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig(env=EnvConfig("Pendulum-v1")))
    for step, labels in ((0, 10), (40, 30)):
        run.append_metrics({"source": "reward", "policy_step": step, "labels": labels})
    # Saved at 20; killed after 40, and then better than it was before.
    for step, true_return in ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0), (30, 5.0), (50, 6.0)):
        run.append_metrics({"source": "policy", "policy_step": step, "true_return": true_return})
    run.append_metrics({"source": "policy", "policy_step": 60})
    points = [(point["steps"], point["labels"], point["true_return"]) for point in curve_of(run)]
    assert points == [(10, 15.0, 1.0), (20, 20.0, 2.0), (30, 25.0, 5.0), (50, 30.0, 6.0)]
