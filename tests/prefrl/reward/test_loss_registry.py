"""Losses are found by name without loading torch, and from outside by module:name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery, Segment
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.loss_registry import PREFERENCE_LOSSES, check_loss, find_loss
from prefrl.reward.losses import preference_loss, preference_scale

OUTSIDE = """
import torch


def squared_error(returns, ranks, noise):
    assert returns.ndim == 3 and ranks.shape == returns.shape[1:] and noise.shape == ranks.shape[:1]
    probability = returns.softmax(dim=-1)[..., 0]
    return (probability - (ranks[:, 0] < ranks[:, 1]).float()).square()


def summed(returns, ranks, noise):
    return squared_error(returns, ranks, noise).sum(dim=-1)


def nothing(returns, ranks, noise):
    return None


number = 3
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's with losses."""
    (tmp_path / "outside_losses.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)


def test_every_name_has_a_loss_of_each_member_and_query() -> None:
    for name in PREFERENCE_LOSSES:
        check_loss(name)
        answers = torch.tensor([[1.0, 2.0]]) if find_loss(name).fits_true_returns else torch.tensor([[1, 2]])
        loss = preference_loss(RewardConfig(loss=name))(torch.zeros(3, 1, 2), answers, torch.zeros(1))
        assert loss.shape == (3, 1)


def test_names_are_checked_without_loading_torch() -> None:
    script = (
        "import sys; from prefrl.reward.loss_registry import check_loss; check_loss('margin');"
        "import prefrl.oracles, prefrl.queries; print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bradley_tery", "no preference loss 'bradley_tery'; did you mean 'bradley_terry'"),
        ("outside_losses:number", "is 3; a function of returns, ranks and noise"),
        ("outside_losses:nowhere", "has no 'nowhere'"),
        ("no_such_losses:any", "cannot be imported"),
    ],
)
def test_what_is_no_loss_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_loss(name)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("outside_losses:summed", r"'outside_losses:summed' returned shape \(3,\); .*shape \(3, 4\)"),
        ("outside_losses:nothing", "'outside_losses:nothing' returned None"),
    ],
)
def test_a_loss_of_another_shape_is_refused_by_its_name(name: str, message: str) -> None:
    loss = preference_loss(RewardConfig(loss=name))
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(3, 4, 2), torch.tensor([[1, 2]] * 4), torch.zeros(4))


@pytest.mark.usefixtures("outside")
def test_a_reward_learns_by_a_loss_from_outside(
    make_segment: Callable[..., Segment],
    make_label: Callable[..., LabelledQuery],
    vector_specs: tuple[SpaceSpec, SpaceSpec],
) -> None:
    config = RewardConfig(hidden=(16,), loss="outside_losses:squared_error", validation_fraction=0.0)
    segments = [make_segment(seed) for seed in range(40)]
    better = [float(segment.observations[:, 0].sum()) for segment in segments]
    labels = [
        make_label(
            number,
            segments[2 * number],
            segments[2 * number + 1],
            ranks=(1, 2) if better[2 * number] > better[2 * number + 1] else (2, 1),
        )
        for number in range(20)
    ]
    trainer = RewardTrainer(*vector_specs, config, 0)
    trainer.update(labels)
    report = trainer.fit(100, {})
    assert report.train_accuracy is not None
    assert report.train_accuracy > 0.9


def test_a_saved_reward_is_opened_without_importing_its_loss(
    make_reward: Callable[[str], LearnedReward], make_segment: Callable[..., Segment], tmp_path: Path
) -> None:
    reward = make_reward("no_such_losses:any")
    assert preference_scale(reward.config) == 1.0
    reward.save(tmp_path / "reward.safetensors")
    loaded = LearnedReward.load(tmp_path / "reward.safetensors")
    segment = make_segment(0)
    np.testing.assert_array_equal(loaded.segment_logits([segment]), reward.segment_returns([segment]))
