from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.config.modality import VECTORS
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Query, Segment
from prefrl.reward import FollowedReward, LearnedReward, RewardFileError
from prefrl.reward.networks import build_network
from prefrl.storage.versions import publish_version

MakeSegment = Callable[..., Segment]
Specs = tuple[SpaceSpec, SpaceSpec]


def untrained(specs: Specs, version: int = 1, std: float = 1.0, scale: float = 2.0) -> LearnedReward:
    config = RewardConfig(hidden=(8,), std=std)
    network = build_network(*specs, config, torch.Generator().manual_seed(version))
    return LearnedReward(
        network,
        torch.tensor([0.1, 0.2, 0.3]),
        torch.full((3,), scale),
        version=version,
        observation_spec=specs[0],
        action_spec=specs[1],
        config=config,
    )


def publish(folder: Path, reward: LearnedReward) -> Path:
    return publish_version(folder, reward.version, reward.save)


def test_prediction_is_the_mean_of_normalised_members(make_segment: MakeSegment, vector_specs: Specs) -> None:
    reward = untrained(vector_specs, std=0.5)
    segment = make_segment(0)
    raw = reward._network(torch.from_numpy(segment.observations), torch.eye(2)[segment.actions]).numpy()
    expected = (raw - np.array([[0.1], [0.2], [0.3]])) / 2.0 * 0.5
    np.testing.assert_allclose(
        reward.predict_members(segment.observations, segment.actions), expected, rtol=1e-5
    )
    prediction = reward.predict(segment.observations, segment.actions)
    np.testing.assert_allclose(prediction, expected.mean(axis=0), rtol=1e-5)
    assert prediction.dtype == np.float32


@pytest.mark.parametrize("lead", [(), (1,), (0,), (4, 5), (2, 3, 4)])
def test_leading_dimensions_are_arbitrary(vector_specs: Specs, lead: tuple[int, ...]) -> None:
    observations = np.random.default_rng(0).normal(size=(*lead, 3))
    reward = untrained(vector_specs)
    assert reward.predict(observations, np.zeros(lead, dtype=np.int64)).shape == lead
    assert reward.predict_members(observations, np.zeros(lead, dtype=np.int64)).shape == (3, *lead)


def test_chunks_change_nothing(
    make_segment: MakeSegment, vector_specs: Specs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = untrained(vector_specs)
    segments = [make_segment(seed, steps=3 + seed) for seed in range(5)]
    whole = reward.segment_returns(segments)
    monkeypatch.setattr(VECTORS, "steps_per_chunk", 8)
    np.testing.assert_allclose(reward.segment_returns(segments), whole, rtol=1e-5)
    one = np.concatenate([segment.observations for segment in segments])
    acted = np.concatenate([segment.actions for segment in segments])
    monkeypatch.undo()
    expected = reward.predict(one, acted)
    monkeypatch.setattr(VECTORS, "steps_per_chunk", 7)
    np.testing.assert_allclose(reward.predict(one, acted), expected, rtol=1e-5, atol=1e-7)


def test_images_are_read_in_either_channel_order() -> None:
    action_spec = SpaceSpec("discrete", (), "int64", (2,), (0,))
    images = np.random.default_rng(0).integers(0, 256, (4, 36, 36, 2), dtype=np.uint8)
    last = untrained((SpaceSpec("box", (36, 36, 2), "uint8"), action_spec))
    first = untrained((SpaceSpec("box", (2, 36, 36), "uint8"), action_spec))
    actions = np.zeros(4, dtype=np.int64)
    np.testing.assert_allclose(
        last.predict(images, actions),
        first.predict(np.moveaxis(images, -1, 1), actions),
        rtol=1e-4,
        atol=1e-6,
    )


def test_read_only_and_unaligned_arrays_are_taken(vector_specs: Specs) -> None:
    observations = np.broadcast_to(np.ones(3, dtype=np.float32), (6, 3))
    reward = untrained(vector_specs)
    assert reward.predict(observations[::2], np.zeros(6, dtype=np.int64)[::2]).shape == (3,)


def test_wrong_arrays_are_refused(vector_specs: Specs) -> None:
    reward = untrained(vector_specs)
    with pytest.raises(ValueError, match=r"observations of shape \(5, 4\)"):
        reward.predict(np.zeros((5, 4)), np.zeros(5, dtype=np.int64))
    with pytest.raises(ValueError, match="do not pair up"):
        reward.predict(np.zeros((5, 3)), np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="category outside"):
        reward.predict(np.zeros((5, 3)), np.full(5, 2))


def test_returns_and_preferences_are_not_normalised(make_segment: MakeSegment, vector_specs: Specs) -> None:
    rewards = [untrained(vector_specs, scale=scale) for scale in (1.0, 100.0)]
    segments = [make_segment(seed) for seed in range(2)]
    query = Query(tuple(segments))
    returns = rewards[0].segment_returns(segments)
    normalised = rewards[0].predict_members(segments[1].observations, segments[1].actions)
    raw = normalised + np.array([[0.1], [0.2], [0.3]])
    np.testing.assert_allclose(returns[:, 1], raw.sum(axis=1), rtol=1e-4)
    expected = 1 / (1 + np.exp(returns[:, 1] - returns[:, 0]))
    for reward in rewards:
        probabilities = reward.preference_probabilities([query])
        np.testing.assert_allclose(probabilities[:, 0, 0], expected, rtol=1e-4)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(reward.disagreement([query]), [expected.std()], rtol=1e-4)


def test_disagreement_of_queries_of_several_sizes(make_segment: MakeSegment, vector_specs: Specs) -> None:
    reward = untrained(vector_specs)
    first, second, third = (make_segment(seed) for seed in range(3))
    pair, triple = Query((first, second)), Query((third, first, second))
    probabilities = reward.preference_probabilities([pair, triple])
    assert probabilities.shape == (3, 2, 3)
    assert (probabilities[:, 0, 2] == 0).all()
    returns = reward.segment_returns([third, first, second])
    expected = np.exp(returns) / np.exp(returns).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities[:, 1], expected, rtol=1e-4)
    np.testing.assert_allclose(
        reward.disagreement([pair, triple]),
        [probabilities[:, 0, 0].std(), np.sqrt(expected.var(axis=0).mean())],
        rtol=1e-4,
    )
    assert reward.disagreement([]).shape == (0,)


def test_agreeing_members_do_not_disagree(make_segment: MakeSegment, vector_specs: Specs) -> None:
    reward = untrained(vector_specs)
    with torch.no_grad():
        for parameter in reward._network.parameters():
            parameter[1:] = parameter[0].clone()
    query = Query((make_segment(0), make_segment(1)))
    np.testing.assert_allclose(reward.disagreement([query]), 0.0, atol=1e-6)


def test_saved_and_loaded_rewards_are_the_same(
    make_segment: MakeSegment, vector_specs: Specs, tmp_path: Path
) -> None:
    reward = untrained(vector_specs, version=42, std=0.05)
    file = publish(tmp_path / "reward", reward)
    segment = make_segment(0)
    for path in (file, tmp_path / "reward", tmp_path, str(tmp_path)):
        loaded = LearnedReward.load(path)
        assert (loaded.version, loaded.config) == (42, reward.config)
        assert (loaded.observation_spec, loaded.action_spec) == vector_specs
        np.testing.assert_array_equal(
            loaded.predict(segment.observations, segment.actions),
            reward.predict(segment.observations, segment.actions),
        )


def test_folders_without_a_sound_reward_say_so(vector_specs: Specs, tmp_path: Path) -> None:
    with pytest.raises(RewardFileError, match="has no learned reward yet"):
        LearnedReward.load(tmp_path)
    file = publish(tmp_path, untrained(vector_specs))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(RewardFileError, match="is not what was published"):
        LearnedReward.load(tmp_path)
    file.unlink()
    with pytest.raises(RewardFileError, match="cannot be read"):
        LearnedReward.load(tmp_path)
    (tmp_path / "latest.json").write_text("{")
    with pytest.raises(RewardFileError, match="is not JSON"):
        LearnedReward.load(tmp_path)


def test_followed_reward_takes_new_versions_as_they_come(
    make_segment: MakeSegment, vector_specs: Specs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl.reward.followed_reward.time.monotonic", lambda: 100.0)
    publish(tmp_path, untrained(vector_specs, version=1))
    follower = LearnedReward.load(tmp_path, follow=True)
    assert follower.version == 1
    assert not follower.refresh()
    newer = untrained(vector_specs, version=2)
    publish(tmp_path, newer)
    segment = make_segment(0)
    follower.predict(segment.observations, segment.actions)
    assert follower.version == 1, "within refresh_s a prediction does not look"
    assert follower.refresh()
    assert follower.version == 2
    np.testing.assert_array_equal(
        follower.predict(segment.observations, segment.actions),
        newer.predict(segment.observations, segment.actions),
    )


def test_predictions_refresh_by_themselves(
    make_segment: MakeSegment, vector_specs: Specs, tmp_path: Path
) -> None:
    publish(tmp_path, untrained(vector_specs, version=1))
    follower = FollowedReward(tmp_path, refresh_s=0.0)
    publish(tmp_path, untrained(vector_specs, version=2))
    follower.disagreement([Query((make_segment(0), make_segment(1)))])
    assert follower.version == 2


def test_only_folders_with_a_reward_can_be_followed(vector_specs: Specs, tmp_path: Path) -> None:
    with pytest.raises(RewardFileError, match="has no learned reward yet"):
        LearnedReward.load(tmp_path, follow=True)
    file = publish(tmp_path, untrained(vector_specs))
    with pytest.raises(RewardFileError, match="only a folder can be followed"):
        LearnedReward.load(file, follow=True)
