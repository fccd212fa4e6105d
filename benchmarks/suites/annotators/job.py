"""Five simulated annotators label the same pool of clips, and a reward is fitted to their answers.

Prints the reward's accuracy on fresh pairs, and each annotator's share of wrong answers with its estimate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.runs import new_labelled_run
from prefrl.annotators import Answer, estimate_errors
from prefrl.config import OracleConfig, QueryConfig, RunConfig, ScheduleConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, LabelledQuery, Query, Segment
from prefrl.presets import get_preset
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.reward import RewardTrainer
from prefrl.storage import Store

METHODS = ("estimated", "assumed", "known")
"""what the fit knows of the annotators' errors"""
PEOPLE: Mapping[str, float | None] = {
    "sure": 0.0,
    "careful": 0.10,
    "hasty": 0.25,
    "random": 0.50,
    "left": None,
}
"""annotator -> probability of a wrong answer; "left" always presses left"""
REPEAT_SHARE = 0.5
SEGMENTS, TEST_PAIRS = 1200, 2000
EPOCHS = 60


def segments(config: RunConfig, count: int, seed: int) -> list[Segment]:
    """Segments of a random policy started in random states, which covers most of the state space."""
    env = gym.make(config.env.id)
    specs = SpaceSpec.of(env.observation_space), SpaceSpec.of(env.action_space)
    recorder = SegmentRecorder(*specs, 1, config.queries.segment_steps, config.env.id, seed)
    env.action_space.seed(seed)
    rng = np.random.default_rng(seed)
    found: list[Segment] = []
    none = np.zeros(1, bool)
    while len(found) < count:
        # From any state and with a constant push: short random pushes would never reach the top.
        observation, _ = env.reset(seed=int(rng.integers(2**31)), options={"x_init": np.pi, "y_init": 8.0})
        push = env.action_space.sample()
        for _ in range(2 * config.queries.segment_steps):
            action = np.clip(push + 0.3 * env.action_space.sample(), -2, 2)
            following, reward, *_ = env.step(action)
            encoded = specs[0].encode(observation[None], (1,)), specs[1].encode(action[None], (1,))
            recorder.record(*encoded, np.array([reward], np.float32), none, none)
            observation = following
        found += recorder.take()
    return found[:count]


def answer(query: Query, error: float | None, rng: np.random.Generator) -> tuple[tuple[int, int], bool]:
    """The ranks an annotator gives to a pair, and whether they are wrong."""
    first, second = (segment.true_return for segment in query.segments)
    right = (1, 2) if first > second else (2, 1)
    said = (1, 2) if error is None else right if rng.random() >= error else right[::-1]
    return said, said != right


def label(store: Store, ask: Callable[[], object], steps: int, labels: int, seed: int) -> dict[str, float]:
    """The annotators take turns; returns each annotator's share of wrong answers."""
    rng = np.random.default_rng([seed, 1])
    wrong = dict.fromkeys(PEOPLE, 0)
    store.set_counters({"policy_step": 0})
    for turn in range(labels * len(PEOPLE)):
        name = list(PEOPLE)[turn % len(PEOPLE)]
        while (query := store.lease(name, 60.0)) is None:
            store.set_counters({"policy_step": (turn + 20) * steps // (labels * len(PEOPLE))})
            ask()
        assert query.id is not None
        ranks, is_wrong = answer(query, PEOPLE[name], rng)
        store.add_comparisons([Comparison(query.id, ranks, name)])
        wrong[name] += is_wrong
    return {name: count / labels for name, count in wrong.items()}


def fit(
    config: RunConfig,
    answers: list[LabelledQuery],
    errors: Mapping[str, float],
    test: list[Segment],
    seed: int,
) -> float:
    """Accuracy on fresh pairs of a reward fitted to the answers."""
    spec = SpaceSpec.of(gym.make(config.env.id).observation_space)
    trainer = RewardTrainer(spec, SpaceSpec.of(gym.make(config.env.id).action_space), config.reward, seed)
    trainer.update(answers)
    trainer.fit(EPOCHS, errors)
    reward = trainer.snapshot(1)
    predicted = np.array([reward.predict(one.observations, one.actions).sum() for one in test])
    true = np.array([one.true_return for one in test])
    pairs = np.random.default_rng(seed).integers(len(test), size=(TEST_PAIRS, 2))
    pairs = pairs[true[pairs[:, 0]] != true[pairs[:, 1]]]
    agrees = np.sign(predicted[pairs[:, 0]] - predicted[pairs[:, 1]]) == np.sign(
        true[pairs[:, 0]] - true[pairs[:, 1]]
    )
    return float(agrees.mean())


def measure(method: str, labels: int, seed: int) -> dict[str, float]:
    """Label, fit and test by one method."""
    preset = get_preset("pendulum").config
    config = replace(
        preset,
        labels=labels * len(PEOPLE),
        seed=seed,
        oracle=OracleConfig("human"),
        # The queries are the same for all methods.
        queries=QueryConfig(
            sampler="uniform", segment_steps=25, batch=20, window_segments=SEGMENTS, repeat_share=REPEAT_SHARE
        ),
        schedule=ScheduleConfig("constant", initial_share=0.05, ends_at=1.0),
        reward=replace(preset.reward, validation_fraction=0.0),
    )
    pool, test = segments(config, SEGMENTS, seed), segments(config, 400, 10_000 + seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        new_labelled_run(Path(folder) / "run", config) as (store, ask),
    ):
        store.add_segments(pool, SEGMENTS)
        wrong = label(store, ask, config.steps, labels, seed)
        answers = store.labelled()
    estimates = estimate_errors([Answer.of(one) for one in answers], config.reward.label_noise / 2)
    errors = {"estimated": estimates, "assumed": {}, "known": wrong}[method]
    result = {"accuracy": fit(config, answers, errors, test, seed), "labels": float(len(answers))}
    for name in PEOPLE:
        result |= {f"wrong_{name}": wrong[name], f"estimate_{name}": estimates[name]}
    return result


def main() -> None:
    """Measure and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--labels", type=int, default=200, help="by each annotator")
    options = parser.parse_args()
    print_result(measure(options.method, options.labels, options.seed))


if __name__ == "__main__":
    main()
