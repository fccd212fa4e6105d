from __future__ import annotations

import pytest
import torch
from torch import nn

from prefrl_agents.algorithms import ALGORITHMS
from prefrl_agents.hyperparameters import algorithm_arguments, read_schedule


def test_plain_values_are_passed_on() -> None:
    given = {"n_steps": 5, "learning_rate": 1e-3, "policy_kwargs": {"net_arch": [64]}}
    assert algorithm_arguments("ppo", given) == given


def test_schedules_and_activations_are_read() -> None:
    named = {"activation_fn": "elu", "optimizer_class": "adam"}
    given = {"clip_range": "lin_0.2", "policy_kwargs": dict(named)}
    arguments = algorithm_arguments("ppo", given)
    assert arguments["policy_kwargs"] == {"activation_fn": nn.ELU, "optimizer_class": torch.optim.Adam}
    assert [arguments["clip_range"](remaining) for remaining in (1.0, 0.5, 0.0)] == [0.2, 0.1, 0.0]
    assert given["policy_kwargs"] == named, "the config is left as it was"


def test_a_schedule_stays_at_zero_past_the_end() -> None:
    assert read_schedule("lin_1e-3")(-0.1) == 0.0


def test_a_schedule_may_warm_up() -> None:
    schedule = read_schedule("warm_1e-3")
    at = (1.0, 0.975, 0.95, 0.475, 0.0, -0.1)
    assert [schedule(remaining) for remaining in at] == pytest.approx([0.0, 5e-4, 1e-3, 5e-4, 0.0, 0.0])
    assert read_schedule("warm_1e-3_1e-4")(0.0) == pytest.approx(1e-4)


def test_a_schedule_may_end_above_zero() -> None:
    schedule = read_schedule("lin_7e-4_3e-4")
    assert [schedule(remaining) for remaining in (1.0, 0.5, 0.0, -0.1)] == pytest.approx(
        [7e-4, 5e-4, 3e-4, 3e-4]
    )


@pytest.mark.parametrize(
    "text",
    [
        "lin_",
        "lin_x",
        "exp_3",
        "3e-4",
        "lin_-1",
        "lin_0",
        "lin_nan",
        "lin_inf",
        "lin",
        "lin_1_-1",
        "lin_1_0_0",
        "warm_0",
        "warm",
    ],
)
def test_other_schedules_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_schedule(text)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_reserved_and_unknown_hyperparameters_are_refused(algorithm: str) -> None:
    for name in ("seed", "env", "policy", "gama"):
        with pytest.raises(ValueError, match=f"{algorithm} has no hyperparameters"):
            algorithm_arguments(algorithm, {name: 1})


def test_an_unknown_algorithm_or_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no algorithm 'trpo'; it must be one of"):
        algorithm_arguments("trpo", {})
    with pytest.raises(ValueError, match="activation_fn is 'swish'; it must be one of"):
        algorithm_arguments("ppo", {"policy_kwargs": {"activation_fn": "swish"}})
