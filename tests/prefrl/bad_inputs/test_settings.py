"""Every setting out of its range is refused by name, value and limit, before anything is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from prefrl import PreferenceCallback
from prefrl.config import EnvConfig, RunConfig, from_json, to_json
from prefrl.loop.assemble import settle
from prefrl.loop.environments import spaces_of
from prefrl.loop.validation import check_config, check_enough_segments
from prefrl.presets import PRESETS
from prefrl_agents.factory import check_models

NAN, INF = math.nan, math.inf

COUNTS = [
    "steps",
    "env.num_envs",
    "eval_episodes",
    "reward.members",
    "reward.batch_size",
    "reward.initial_epochs",
    "reward.epochs_per_update",
    "reward.last_labels",
    "queries.segment_steps",
    "queries.candidates",
    "queries.batch",
    "queries.window_segments",
    "runtime.pool_segments",
    "runtime.checkpoint_steps",
]

NUMBERS: list[tuple[str, Any, str]] = [
    *((name, value, "at least 1") for name in COUNTS for value in (0, -3)),
    ("labels", 0, "at least 1"),
    ("labels", -3, "cannot be negative"),
    ("queries.items", 1, "at least 2"),
    ("queries.items", 0, "at least 2"),
    ("seed", -1, "0 to 2147483647"),
    ("seed", 2**31, "0 to 2147483647"),
    ("runtime.max_restarts", -1, "at least 0"),
    ("runtime.max_label_lag", -1, "at least 0"),
    ("reward.hidden", (64, 0), "at least 1"),
    ("reward.hidden", (-5,), "at least 1"),
    *(
        (f"reward.{name}", value, "above 0")
        for name in ("learning_rate", "std")
        for value in (0.0, -1.0, NAN, INF)
    ),
    ("reward.margin", 0.0, "above 0"),
    ("reward.margin", NAN, "above 0"),
    ("runtime.lease_s", 0.0, "above 0"),
    ("runtime.lease_s", -2.0, "above 0"),
    ("reward.l2", -1e-4, "at least 0"),
    ("reward.l2", NAN, "at least 0"),
    ("env.termination_penalty", -1.0, "at least 0"),
    ("env.termination_penalty", INF, "at least 0"),
    *(
        (f"reward.{name}", value, "below 1")
        for name in ("label_noise", "dropout", "validation_fraction")
        for value in (1.0, -0.1, NAN)
    ),
    ("queries.repeat_share", 1.1, "between 0 and 1"),
    ("queries.repeat_share", NAN, "between 0 and 1"),
    ("schedule.initial_share", 1.5, "between 0 and 1"),
    ("schedule.initial_share", NAN, "between 0 and 1"),
    ("schedule.ends_at", -0.1, "between 0 and 1"),
    ("schedule.half_life_steps", 0, "above 0"),
    ("oracle.teacher.beta", -1.0, "at least 0"),
    ("oracle.teacher.beta", NAN, "at least 0"),
    ("oracle.teacher.gamma", 0.0, "above 0 and at most 1"),
    ("oracle.teacher.gamma", 1.01, "above 0 and at most 1"),
    ("oracle.teacher.mistake", 1.5, "between 0 and 1"),
    ("oracle.teacher.skip", -0.1, "at least 0"),
    ("oracle.teacher.equal", -0.1, "at least 0"),
    ("oracle.teacher.equal", INF, "at least 0"),
]

TYPES: list[tuple[str, Any, str]] = [
    ("labels", "many", "int is needed"),
    ("steps", 1.5, "int is needed"),
    ("seed", True, "int is needed"),
    ("seed", np.int64(3), "convert them first"),
    ("reward.std", "wide", "float is needed"),
    ("reward.hidden", (64, "32"), "int is needed"),
    ("reward.hidden", 64, "tuple is needed"),
    ("env.endless", 1, "bool is needed"),
    ("env.id", None, "str is needed"),
    ("env.kwargs", {"noise": NAN}, "finite numbers"),
    ("env.kwargs", {"make": print}, "finite numbers"),
    ("agent.hyperparameters", {"learning_rate": INF}, "finite numbers"),
    ("agent.algorithm", 3, "str is needed"),
    ("oracle.kind", "robot", "oracle.kind: there is no oracle 'robot'; .*'synthetic'"),
    ("oracle.kind", "humans", "did you mean 'human'"),
    ("oracle.kind", "no_such_module:judge", "oracle.kind: .*'no_such_module', which cannot be imported"),
    ("queries.sampler", "random", "queries.sampler: there is no query sampler 'random'; .*'uniform'"),
    ("queries.sampler", "kcenter", "did you mean 'k_center'"),
    ("queries.sampler", "math:pi", "queries.sampler: .*'math:pi' is 3.14"),
    ("reward.loss", "bradley_tery", "reward.loss: .*did you mean 'bradley_terry'"),
    ("reward.loss", "math:no_such_loss", "reward.loss: .*has no 'no_such_loss'"),
    ("schedule.kind", "linear", "'hyperbolic'"),
    ("runtime.launcher", "ray", "'serial'"),
]

COMBINATIONS: list[tuple[dict[str, Any], str]] = [
    ({"queries.window_segments": 2}, "queries.window_segments is 2; queries of 2 segments need at least 3"),
    ({"runtime.pool_segments": 2}, "runtime.pool_segments is 2; queries of 2 segments need at least 3"),
    ({"queries.items": 4, "queries.window_segments": 6}, "queries of 4 segments need at least 7"),
    ({"queries.items": 13, "reward.loss": "plackett_luce"}, "queries.items is 13.*at most 12"),
    ({"oracle.kind": "human", "reward.loss": "regression"}, "regression.*oracle.kind is human"),
    ({"steps": 399, "queries.segment_steps": 50}, "399 steps in 8 environments give 0 segments"),
    (
        {"queries.segment_steps": 60_000},
        "give 0 segments of 60000 steps, the first queries need 100; raise steps",
    ),
    ({"labels": 2000, "steps": 10_000}, "give 393 segments of 25 steps, the first queries need 500"),
    ({"env.num_envs": 50_000}, "in 50000 environments give 0 segments"),
]


def changed(config: Any, name: str, value: Any) -> Any:
    """``config`` with one dotted setting replaced."""
    field, _, rest = name.partition(".")
    return dataclasses.replace(
        config, **{field: changed(getattr(config, field), rest, value) if rest else value}
    )


@pytest.mark.parametrize(("name", "value", "limit"), NUMBERS)
def test_a_number_out_of_its_range(name: str, value: Any, limit: str) -> None:
    with pytest.raises(ValueError, match=limit) as caught:
        check_config(changed(RunConfig(), name, value))
    message = str(caught.value)
    names = {"labels": "label budget", "steps": "steps"}.get(name, name.removeprefix("oracle."))
    assert names in message
    assert str(value) in message


@pytest.mark.parametrize(("name", "value", "needed"), TYPES)
def test_a_value_of_another_kind(name: str, value: Any, needed: str) -> None:
    with pytest.raises(ValueError, match=needed):
        check_config(changed(RunConfig(), name, value))


@pytest.mark.parametrize(("settings", "message"), COMBINATIONS)
def test_settings_that_contradict_each_other(settings: dict[str, Any], message: str) -> None:
    config = RunConfig()
    for name, value in settings.items():
        config = changed(config, name, value)
    with pytest.raises(ValueError, match=message):
        settle(config, spaces_of(RunConfig().env))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queries.batch", 10_000),
        ("reward.hidden", ()),
        ("reward.label_noise", 0.0),
        ("reward.batch_size", 1_000_000),
        ("runtime.max_label_lag", None),
        ("queries.repeat_share", 1.0),
        ("oracle.teacher.beta", 0.0),
        ("queries.window_segments", 3),
        ("schedule.ends_at", 0.0),
        ("env.id", "InfinityEnv-v0"),
        ("queries.sampler", "entropy_k_center"),
        ("reward.loss", "math:sqrt"),
        ("oracle.kind", "math:sqrt"),
    ],
)
def test_what_is_unusual_but_sound(name: str, value: Any) -> None:
    config = changed(RunConfig(), name, value)
    check_config(config)
    assert from_json(RunConfig, to_json(config)) == config


@pytest.mark.parametrize(
    ("algorithm", "hyperparameters"), [("dqn", {}), ("sac", {}), ("ppo", {"use_sde": True})]
)
def test_agents_that_cannot_act_while_they_learn(algorithm: str, hyperparameters: dict[str, Any]) -> None:
    config = changed(RunConfig(), "agent.algorithm", algorithm)
    config = changed(changed(config, "agent.hyperparameters", hyperparameters), "agent.overlap", True)
    with pytest.raises(ValueError, match=f"agent.overlap is true; .* not for {algorithm} .*set it to false"):
        check_models(config, spaces_of(config.env))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_pass(preset: str) -> None:
    check_config(PRESETS[preset].config)


@pytest.mark.parametrize(
    ("num_envs", "length", "steps"), [(1, 5, 23), (3, 7, 100), (8, 25, 3000), (5, 2, 11)]
)
def test_the_segments_a_run_gives_are_counted_as_they_are_recorded(
    num_envs: int, length: int, steps: int, record_segments: Callable[[int, int, int], int]
) -> None:
    recorded = record_segments(num_envs, length, steps)
    config = dataclasses.replace(
        changed(changed(RunConfig(), "queries.segment_steps", length), "env", EnvConfig(num_envs=num_envs)),
        steps=steps,
        labels=100_000,
    )
    with pytest.raises(ValueError, match=f"give {recorded} segments of {length} steps"):
        check_enough_segments(
            changed(changed(config, "queries.window_segments", 10**6), "runtime.pool_segments", 10**6)
        )


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--labels", "0", "label budget is 0"),
        ("--labels", "-5", "label budget is -5"),
        ("--steps", "0", "0 steps"),
        ("--steps", "300", "give 0 segments"),
        ("--env.num-envs", "0", "env.num_envs is 0"),
        ("--queries.items", "1", "queries.items is 1"),
        ("--queries.segment-steps", "100000", "give 0 segments"),
        ("--reward.std", "nan", "reward.std is nan"),
        ("--reward.learning-rate", "inf", "reward.learning_rate is inf"),
        ("--oracle.teacher.gamma", "2", "teacher.gamma is 2.0"),
        ("--seed", "-1", "seed is -1"),
    ],
)
def test_train_refuses_before_anything_is_made(
    prefrl: Callable[..., Any], nothing_starts: None, tmp_path: Path, flag: str, value: str, words: str
) -> None:
    prefrl("train", "pendulum", "--run", tmp_path / "run", flag, value).refuses("prefrl train:", words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reward.members": 0}, "reward.members is 0"),
        ({"queries.segment_steps": 50_000}, "give 0 segments of 50000 steps"),
        ({"reward.dropout": 1.0}, "reward.dropout is 1.0"),
        ({"labels": -1}, "label budget is -1"),
    ],
)
def test_the_callback_refuses_before_anything_is_made(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    config = RunConfig()
    for name, value in settings.items():
        config = changed(config, name, value)
    loop = PreferenceCallback(run=tmp_path / "run", config=config)
    model = PPO("MlpPolicy", loop.wrap(make_vec_env("Pendulum-v1", 2, seed=0)), n_steps=64, device="cpu")
    with pytest.raises(ValueError, match=message):
        model.learn(5_000, callback=loop)
    assert list(tmp_path.iterdir()) == []
