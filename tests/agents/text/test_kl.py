from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl_agents.text.kl import (
    KL_ESTIMATORS,
    AdaptiveKL,
    FixedKL,
    KLController,
    kl_k1,
    kl_k2,
    kl_k3,
)


def test_estimators_by_hand() -> None:
    # probabilities .5 against .25 and .125 against .25: x = log 2 and -log 2
    log_prob, reference = torch.tensor([[0.5, 0.125]]).log(), torch.tensor([[0.25, 0.25]]).log()
    log_2 = math.log(2)
    torch.testing.assert_close(kl_k1(log_prob, reference), torch.tensor([[log_2, -log_2]]))
    torch.testing.assert_close(kl_k2(log_prob, reference), torch.full((1, 2), log_2**2 / 2))
    # exp(-x) - 1 + x
    torch.testing.assert_close(kl_k3(log_prob, reference), torch.tensor([[log_2 - 0.5, 1 - log_2]]))


@given(x=st.floats(-100, 100))
@settings(deadline=None)
def test_estimators_are_finite_and_k2_and_k3_never_negative(x: float) -> None:
    log_prob = torch.tensor([x], requires_grad=True)
    for estimator in KL_ESTIMATORS.values():
        kl = estimator(log_prob, torch.zeros(1))
        (slope,) = torch.autograd.grad(kl.sum(), log_prob)
        assert kl.isfinite().all()
        assert slope.isfinite().all()
        if estimator is not kl_k1:
            assert kl.item() >= 0
            # Going further from the reference never costs less.
            assert slope.item() * x >= 0


def test_k3_of_nearly_equal_policies_is_accurate() -> None:
    # x = .001: x^2 / 2 - x^3 / 6; in float32, exp(-x) - 1 + x itself would be off by a tenth
    kl = kl_k3(torch.tensor([0.001]), torch.zeros(1))
    assert kl.item() == pytest.approx(5e-7 - 1e-9 / 6, rel=1e-3)


def test_fixed_coefficient_does_not_change() -> None:
    controller: KLController = FixedKL(0.1)
    controller.update(100.0, 512)
    assert controller.coefficient == 0.1


@pytest.mark.parametrize(
    ("kl", "num_episodes", "factor"),
    [
        (6.0, 100, 1.0),
        # KL / target - 1 = .1, over 100 of 10,000 episodes
        (6.6, 100, 1 + 0.1 * 0.01),
        (60.0, 100, 1 + 0.2 * 0.01),
        (0.0, 100, 1 - 0.2 * 0.01),
        (math.inf, 100, 1 + 0.2 * 0.01),
        (0.0, 10_000, 0.8),
        (0.0, 10_000_000, 0.8),
    ],
)
def test_adaptive_coefficient_by_hand(kl: float, num_episodes: int, factor: float) -> None:
    controller = AdaptiveKL(0.2, target=6.0)
    controller.update(kl, num_episodes)
    assert controller.coefficient == pytest.approx(0.2 * factor)


def test_adaptive_coefficient_holds_a_kl_at_its_target() -> None:
    controller: KLController = AdaptiveKL(1.0, target=6.0)
    for _ in range(2000):
        # A policy that goes the further, the less it costs.
        controller.update(1.5 / controller.coefficient, num_episodes=512)
    assert 1.5 / controller.coefficient == pytest.approx(6.0, rel=1e-3)


def test_state_survives_json() -> None:
    controller = AdaptiveKL(0.2, target=6.0)
    controller.update(9.0, 512)
    restored = AdaptiveKL(**json.loads(json.dumps(dataclasses.asdict(controller))))
    assert restored == controller


@pytest.mark.parametrize(
    ("name", "settings"),
    [("coefficient", (0.0, 6.0, 100)), ("target", (0.1, -1.0, 100)), ("horizon", (0.1, 6.0, 0))],
)
def test_adaptive_coefficient_refuses_values_that_are_not_positive(
    name: str, settings: tuple[float, float, int]
) -> None:
    with pytest.raises(ValueError, match=f"{name} of an adaptive KL coefficient is .*; it must be positive"):
        AdaptiveKL(*settings)


def test_fixed_coefficient_refuses_negative_values() -> None:
    with pytest.raises(ValueError, match=r"coefficient is -0\.1"):
        FixedKL(-0.1)


def test_a_nan_kl_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        AdaptiveKL(0.2, target=6.0).update(math.nan, 512)
