"""The suite on learning from ranked texts: its curves."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.learning import with_recorded_curve
from prefrl.presets import get_preset
from prefrl.storage.run_dir import RunDir


def test_curve_has_the_returns_that_the_run_recorded(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", get_preset("text-walks").config)
    run.append_metrics({"source": "policy", "policy_step": 0})
    run.append_metrics({"source": "policy", "policy_step": 640, "true_return": 0.25})
    run.append_metrics({"source": "reward", "policy_step": 700, "labels": 20})
    run.append_metrics({"source": "policy", "policy_step": 1280, "true_return": 0.5})
    output = with_recorded_curve('{"true_return_mean": 0.75}', run.path)
    assert output.metrics == {"true_return_mean": 0.75}
    assert output.curve == [
        {"steps": 640.0, "true_return": 0.25},
        {"steps": 1280.0, "true_return": 0.5},
    ]
