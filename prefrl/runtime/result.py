"""The result of a finished run: ``result.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefrl.data.types import Evaluation
from prefrl.runtime.diagnostics import how_to_continue
from prefrl.storage import Store
from prefrl.storage.durable import read_json, write_json_atomic
from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = ["Result", "read_result", "write_result"]


@dataclass(frozen=True)
class Result:
    """The result of a run. Returns are true returns of whole episodes in the ordinary environment."""

    env_id: str
    seed: int
    steps: int
    """agent steps taken, over all environments"""
    labels: int
    """comparisons answered, without "can't tell" """
    true_return_mean: float
    true_return_std: float
    episodes: int
    wall_s: float
    """seconds from launch to the agent's last step, with process startup, without evaluation"""
    training_s: float
    """seconds from the agent's first step to its last, with waits for labels"""
    steps_per_s: float
    """``steps`` per second of ``training_s``"""
    reward_accuracy_validation: float | None
    """share of held-out comparisons that the last learned reward predicts right; None if none is held out"""
    reward_version: int
    optimal_return: float | None = None
    """exact optimum of the mean return, if the environment knows it"""


def write_result(run: RunDir) -> Result:
    """Collect the result from the run directory and write ``result.json``."""
    config = run.config()
    evaluation = Evaluation(**read_json(run.evaluation))
    with Store.open(run.store) as store:
        counters, counts = store.counters(), store.counts()
    steps, training_s = int(counters["policy_step"]), counters.get("training_s", 0.0)
    accuracy = counters.get("reward_accuracy_validation", -1.0)
    result = Result(
        env_id=config.env.id,
        seed=config.seed,
        steps=steps,
        labels=counts.labels,
        true_return_mean=evaluation.mean,
        true_return_std=evaluation.std,
        episodes=len(evaluation.true_returns),
        wall_s=round(counters.get("wall_s", 0.0), 3),
        training_s=round(training_s, 3),
        steps_per_s=round(steps / training_s, 1) if training_s else 0.0,
        reward_accuracy_validation=accuracy if accuracy >= 0 else None,
        reward_version=int(counters.get("reward_version", 0)),
        optimal_return=evaluation.optimal_return,
    )
    write_json_atomic(run.result, asdict(result))
    return result


def read_result(run: RunDir) -> Result | None:
    """The result of a finished run; None if it has not finished.

    Raises:
        RunDirError: if ``result.json`` is damaged.
    """
    if not run.result.exists():
        return None
    way_out = f"delete it, and {how_to_continue(run.path, run.config())} to write it again"
    try:
        return Result(**read_json(run.result, way_out))
    except TypeError as error:
        raise RunDirError(f"{run.result} is not the result of a run ({error}); {way_out}") from error
