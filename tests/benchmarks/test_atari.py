"""The suite on Atari games: the curve of a killed run."""

from __future__ import annotations

from benchmarks.suites.atari.job import curve_of


def test_curve_leaves_out_what_was_repeated_after_a_kill() -> None:
    fits = [
        {"source": "reward", "policy_step": step, "labels": labels} for step, labels in ((0, 10), (40, 30))
    ]
    # Saved at 20; killed after 40, then better than before.
    returns = ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0), (30, 5.0), (50, 6.0))
    episodes = [
        {"source": "policy", "policy_step": step, "true_return": true_return} for step, true_return in returns
    ]
    points = curve_of([*fits, *episodes, {"source": "policy", "policy_step": 60}])
    found = [(point["steps"], point["labels"], point["true_return"]) for point in points]
    assert found == [(10, 15.0, 1.0), (20, 20.0, 2.0), (30, 25.0, 5.0), (50, 30.0, 6.0)]
