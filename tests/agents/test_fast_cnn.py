"""The fast policy gives the results of SB3's CnnPolicy."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

import prefrl_envs  # noqa: F401  # registers the environments
from prefrl_agents import FastCnnPolicy, FastRolloutBuffer
from prefrl_agents.fast_cnn import CENTRED_SCALE

IMAGES = spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = spaces.Discrete(6)


def policy(precision: str, seed: int = 0) -> FastCnnPolicy:
    torch.manual_seed(seed)
    return FastCnnPolicy(IMAGES, ACTIONS, lambda _: 1e-3, features_extractor_kwargs={"precision": precision})


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (8, 4, 84, 84), generator=generator, dtype=torch.uint8)


@pytest.fixture
def plain() -> ActorCriticCnnPolicy:
    torch.manual_seed(1)
    return ActorCriticCnnPolicy(IMAGES, ACTIONS, lambda _: 1e-3)


def outputs(policy: ActorCriticCnnPolicy, images: torch.Tensor) -> list[torch.Tensor]:
    """The results of all methods of a policy that SB3 calls."""
    actions = torch.arange(8) % 6
    values, log_probs, entropy = policy.evaluate_actions(images, actions)
    distribution = policy.get_distribution(images)
    assert entropy is not None
    return [values, log_probs, entropy, policy.predict_values(images), distribution.log_prob(actions)]


def test_float32_equals_the_plain_network_within_rounding(
    plain: ActorCriticCnnPolicy, images: torch.Tensor
) -> None:
    fast = policy("float32")
    fast.load_state_dict(plain.state_dict())
    for ours, theirs in zip(outputs(fast, images), outputs(plain, images), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5)


def test_gradients_equal_those_of_the_plain_network(
    plain: ActorCriticCnnPolicy, images: torch.Tensor
) -> None:
    fast = policy("float32")
    fast.load_state_dict(plain.state_dict())
    for each in (fast, plain):
        values, log_probs, *_ = outputs(each, images)
        (values.square().sum() + log_probs.sum()).backward()
    theirs = dict(plain.named_parameters())
    for name, parameter in fast.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-4, rtol=1e-3)


def test_bfloat16_is_close_and_returns_float32(plain: ActorCriticCnnPolicy, images: torch.Tensor) -> None:
    fast = policy("bfloat16")
    fast.load_state_dict(plain.state_dict())
    for ours, theirs in zip(outputs(fast, images), outputs(plain, images), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=2e-2, rtol=2e-2)
        assert not torch.equal(ours, theirs)
    assert all(parameter.dtype == torch.float32 for parameter in fast.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_blocks_and_images_give_the_same_result(precision: str, images: torch.Tensor) -> None:
    fast = policy(precision)
    blocks = fast.features_extractor.blocks(images)
    assert blocks.shape == (8, 21, 21, 64)
    for from_blocks, from_images in zip(outputs(fast, blocks), outputs(fast, images), strict=True):
        torch.testing.assert_close(from_blocks, from_images, atol=0.0, rtol=0.0)


@pytest.mark.parametrize("fused", [True, False])
def test_acting_follows_every_update(fused: bool, images: torch.Tensor) -> None:
    fast = policy("float32")
    optimizer = torch.optim.Adam(fast.parameters(), lr=1e-2, fused=fused)
    for _ in range(2):
        fast.set_training_mode(False)
        with torch.no_grad():
            acted = fast.predict_values(images)
            assert torch.equal(fast.predict_values(images), acted)
        fast.set_training_mode(True)
        values, *_ = outputs(fast, images)
        torch.testing.assert_close(values, acted)
        values.sum().backward()
        optimizer.step()


def test_acting_follows_weights_that_are_loaded(images: torch.Tensor) -> None:
    fast, other = policy("float32"), policy("float32", seed=5)
    for each in (fast, other):
        each.set_training_mode(False)
    with torch.no_grad():
        fast.predict_values(images)
        fast.load_state_dict(other.state_dict())
        assert torch.equal(fast.predict_values(images), other.predict_values(images))


def test_scaled_images_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(TypeError, match=r"observations are torch.float32; FastNatureCNN takes bytes"):
        policy("float32").features_extractor(images / 255)


def test_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision is 'float16'; it must be one of"):
        policy("float16")


def centred(precision: str = "float32") -> FastCnnPolicy:
    torch.manual_seed(0)
    extractor = {"precision": precision, "centred": True}
    return FastCnnPolicy(IMAGES, ACTIONS, lambda _: 1e-3, features_extractor_kwargs=extractor)


def test_centred_pixels_are_differences_from_their_mean_so_far(
    plain: ActorCriticCnnPolicy, images: torch.Tensor
) -> None:
    fast, more = centred(), torch.flip(images, dims=[0])[:4]
    parameters = dict(plain.named_parameters())
    fast.load_state_dict(plain.state_dict(), strict=False)
    for minibatch in (images, more):
        fast.set_training_mode(True)
        fast.predict_values(minibatch)
    fast.set_training_mode(False)
    mean = torch.cat([images, more]).float().mean(dim=0)
    with torch.no_grad():
        # The plain network divides by 255 what it is shown.
        network = plain.features_extractor
        theirs = plain.value_net(network.linear(network.cnn((images - mean) / CENTRED_SCALE)))
        torch.testing.assert_close(fast.predict_values(images), theirs, atol=1e-4, rtol=1e-4)
    assert dict(fast.named_parameters()).keys() == parameters.keys()


def test_the_mean_is_updated_once_per_rollout_and_never_while_acting(images: torch.Tensor) -> None:
    fast = centred()
    fast.set_training_mode(False)
    fast.predict_values(images)
    assert fast.features_extractor.pixel_images == 0
    fast.set_training_mode(True)
    fast.predict_values(images)
    fast.predict_values(images[:3])
    assert fast.features_extractor.pixel_images == len(images)


def test_bfloat16_sees_faint_differences_on_a_bright_background() -> None:
    background = torch.full((2, 4, 84, 84), 236, dtype=torch.uint8)
    with_ball = background.clone()
    with_ball[1, :, 40:42, 40:42] = 235
    differences = []
    for precision in ("float32", "bfloat16"):
        fast = centred(precision)
        fast.set_training_mode(True)
        fast.predict_values(background)
        fast.set_training_mode(False)
        with torch.no_grad():
            features = fast.features_extractor(with_ball)
        differences.append(features[1] - features[0])
    exact, rounded = differences
    assert exact.abs().max() > 0
    assert (rounded - exact).norm() < 0.03 * exact.norm()


def test_acting_follows_a_mean_that_is_loaded(images: torch.Tensor) -> None:
    fast, other = centred(), centred()
    other.set_training_mode(True)
    other.predict_values(images)
    for each in (fast, other):
        each.set_training_mode(False)
    with torch.no_grad():
        assert not torch.equal(fast.predict_values(images), other.predict_values(images))
        fast.load_state_dict(other.state_dict())
        assert torch.equal(fast.predict_values(images), other.predict_values(images))


def dots(num_envs: int = 4) -> DummyVecEnv:
    return DummyVecEnv([lambda: gym.make("prefrl/MovingDot-v0")] * num_envs)


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_a_saved_model_loads_into_the_plain_policy(algorithm: type[PPO], tmp_path: Path) -> None:
    settings = {"features_extractor_kwargs": {"precision": "float32"}}
    arguments = {"n_steps": 8} | ({"batch_size": 32} if algorithm is PPO else {})
    model = algorithm(
        FastCnnPolicy, dots(), rollout_buffer_class=FastRolloutBuffer, policy_kwargs=settings, **arguments
    )
    model.learn(64)
    model.save(tmp_path / "model.zip")
    again = algorithm.load(tmp_path / "model.zip")
    plain = algorithm("CnnPolicy", dots(), **arguments)
    plain.policy.load_state_dict(again.policy.state_dict())
    observations = plain.env.reset()
    with torch.no_grad():
        tensor, _ = plain.policy.obs_to_tensor(observations)
        torch.testing.assert_close(
            again.policy.predict_values(tensor), plain.policy.predict_values(tensor), atol=1e-5, rtol=1e-5
        )
    again.set_env(dots())
    assert again.learn(32, reset_num_timesteps=False).num_timesteps == 96


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_the_fast_buffer_does_not_change_what_is_learned(algorithm: type[PPO]) -> None:
    """SB3's own buffer draws other minibatches, so each update uses a single one."""
    settings = {"features_extractor_kwargs": {"precision": "float32"}}
    arguments = {"n_steps": 8, "policy_kwargs": settings, "seed": 3}
    if algorithm is PPO:
        arguments |= {"batch_size": 32, "n_epochs": 2}
    weights = []
    for buffer in (None, FastRolloutBuffer):
        model = algorithm(FastCnnPolicy, dots(), rollout_buffer_class=buffer, **arguments)
        model.learn(32)
        weights.append(model.policy.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-4, rtol=1e-3)
