"""What agents need of a reward, and that each kind of reward has all of it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Query, Segment
from prefrl.reward import FollowedReward, LearnedReward, NoReward, RewardSource
from prefrl.reward.networks import build_network
from prefrl.storage.versions import publish_version

MakeSegment = Callable[..., Segment]
Specs = tuple[SpaceSpec, SpaceSpec]


@pytest.fixture
def learned(vector_specs: Specs) -> LearnedReward:
    config = RewardConfig(hidden=(8,))
    network = build_network(*vector_specs, config, torch.Generator().manual_seed(0))
    observation_spec, action_spec = vector_specs
    return LearnedReward(
        network,
        torch.zeros(3),
        torch.ones(3),
        version=4,
        observation_spec=observation_spec,
        action_spec=action_spec,
        config=config,
    )


@pytest.fixture
def followed(learned: LearnedReward, tmp_path: Path) -> FollowedReward:
    publish_version(tmp_path, learned.version, learned.save)
    return LearnedReward.load(tmp_path, follow=True)


@pytest.fixture(params=["none", "learned", "followed"])
def source(
    request: pytest.FixtureRequest, vector_specs: Specs, learned: LearnedReward, followed: FollowedReward
) -> RewardSource:
    """One of each kind."""
    return {"none": NoReward(*vector_specs), "learned": learned, "followed": followed}[request.param]


def members(kind: type) -> dict[str, object]:
    """Public methods and properties."""
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def test_every_kind_of_reward_is_a_reward_source(source: RewardSource, vector_specs: Specs) -> None:
    assert isinstance(source, RewardSource)
    assert source.version in (0, 4)
    assert (source.observation_spec, source.action_spec) == vector_specs
    needed = inspect.signature(RewardSource.predict)
    assert inspect.signature(type(source).predict) == needed


@pytest.mark.parametrize("lead", [(), (0,), (5,), (2, 3)])
def test_every_kind_of_reward_predicts_arrays_of_any_leading_shape(
    source: RewardSource, lead: tuple[int, ...]
) -> None:
    observations = np.random.default_rng(0).normal(size=(*lead, 3)).astype(np.float32)
    predicted = source.predict(observations, np.zeros(lead, np.int64))
    assert (predicted.shape, predicted.dtype) == (lead, np.float32)
    if source.version == 0:
        assert (predicted == 0).all()


def test_every_kind_of_reward_refuses_other_arrays(source: RewardSource) -> None:
    with pytest.raises(ValueError, match=r"observations of shape \(5, 4\)"):
        source.predict(np.zeros((5, 4)), np.zeros(5, np.int64))
    with pytest.raises(ValueError, match="do not pair up"):
        source.predict(np.zeros((5, 3)), np.zeros(4, np.int64))


def test_a_followed_reward_has_every_member_of_a_learned_one(
    learned: LearnedReward, followed: FollowedReward
) -> None:
    # A class method that makes another reward is no part of it; the rest is set when a reward is made.
    names = (set(members(LearnedReward)) | set(vars(learned))) - {"load"}
    public = sorted(name for name in names if not name.startswith("_"))
    assert {"predict", "text_rewards", "segment_logits", "config", "device", "save"} <= set(public)
    for name in public:
        assert hasattr(followed, name), name
        method = getattr(LearnedReward, name, None)
        if inspect.isfunction(method):
            assert inspect.signature(getattr(FollowedReward, name)) == inspect.signature(method), name


def test_a_followed_reward_answers_as_the_learned_one(
    learned: LearnedReward, followed: FollowedReward, make_segment: MakeSegment, tmp_path: Path
) -> None:
    segments = [make_segment(0), make_segment(1)]
    arrays = segments[0].observations, segments[0].actions
    for method, arguments in (
        ("predict", arrays),
        ("predict_members", arrays),
        ("text_rewards", arrays),
        ("segment_returns", (segments,)),
        ("segment_logits", (segments,)),
        ("preference_probabilities", ([Query(tuple(segments))],)),
        ("disagreement", ([Query(tuple(segments))],)),
    ):
        found = getattr(followed, method)(*arguments)
        np.testing.assert_array_equal(found, getattr(learned, method)(*arguments), err_msg=method)
    assert (followed.version, followed.config, followed.device) == (4, learned.config, learned.device)
    followed.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        LearnedReward.load(tmp_path / "saved").predict(*arrays), learned.predict(*arrays)
    )


@pytest.mark.parametrize("method", ["text_rewards", "segment_logits"])
def test_every_prediction_of_a_followed_reward_looks_for_a_newer_version(
    method: str, learned: LearnedReward, make_segment: MakeSegment, tmp_path: Path
) -> None:
    publish_version(tmp_path, 4, learned.save)
    followed = FollowedReward(tmp_path, refresh_s=0.0)
    learned.version = 5
    publish_version(tmp_path, 5, learned.save)
    segment = make_segment(0)
    arguments = ([segment],) if method == "segment_logits" else (segment.observations, segment.actions)
    getattr(followed, method)(*arguments)
    assert followed.version == 5


def test_a_reward_source_is_defined_without_loading_torch() -> None:
    code = "import sys; from prefrl.reward import NoReward, RewardSource; print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
