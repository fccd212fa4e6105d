"""On-policy: the reward a rollout gets is the learned one, of the raw observation and the action as
executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import ConvertCallback
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize, VecTransposeImage

from prefrl.sb3 import RolloutSteps, label_rollout

IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
SPACES = {
    "box": (BOX, spaces.Box(-0.5, 2.0, (2,), np.float32), "MlpPolicy"),
    "float64": (
        spaces.Box(-1.0, 1.0, (2,), np.float64),
        spaces.Box(-2.0, 1.0, (1,), np.float64),
        "MlpPolicy",
    ),
    "discrete": (spaces.Discrete(5), spaces.Discrete(3), "MlpPolicy"),
    "multi": (spaces.MultiDiscrete([3, 4]), spaces.MultiDiscrete([2, 3]), "MlpPolicy"),
    "binary": (spaces.MultiBinary(4), spaces.MultiBinary(2), "MlpPolicy"),
    "image": (IMAGE, spaces.Discrete(3), "CnnPolicy"),
    "channels first": (spaces.Box(0, 255, (3, 36, 40), np.uint8), spaces.Discrete(3), "CnnPolicy"),
    "dict": (
        spaces.Dict({"z": BOX, "a": spaces.Discrete(4), "image": IMAGE}),
        spaces.Discrete(3),
        "MultiInputPolicy",
    ),
}


def ppo(env: VecEnv, policy: str = "MlpPolicy", **arguments: Any) -> PPO:
    return PPO(policy, env, n_steps=6, batch_size=4, n_epochs=1, device="cpu", seed=0, **arguments)


@pytest.mark.parametrize("name", SPACES)
def test_rewards_are_predicted_for_the_executed_actions(
    name: str, make_spies: Callable[..., Any], wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    observed, acted, policy = SPACES[name]
    spies = make_spies(observed, acted)
    venv = wrap(spies)
    # Values around the first ones of a Gaussian of std 1 make actions leave the box, which SB3 then clips.
    model, reward = ppo(venv, policy), make_reward(venv)
    learn = labelled(model, reward)
    for rollout in range(2):
        learn(12, reset_num_timesteps=rollout == 0)
        expected = rewards_by_log(reward, spies)[-6:]
        np.testing.assert_allclose(model.rollout_buffer.rewards, expected, rtol=1e-5)


def test_actions_out_of_the_box_are_rewarded_as_clipped(
    make_spies: Callable[..., Any], wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = ppo(venv), make_reward(venv)
    learn = labelled(model, reward)
    learn(12)
    assert (model.rollout_buffer.actions < -0.5).any(), "this seed should draw an action out of the box"
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(reward, spies), rtol=1e-5)


@pytest.mark.parametrize(
    "around", [lambda v: VecNormalize(v, norm_reward=False), lambda v: VecFrameStack(v, 2)]
)
def test_outer_wrappers_change_observations_but_not_the_reward(
    around: Callable[[VecEnv], VecEnv],
    make_spies: Any,
    wrap: Any,
    make_reward: Any,
    labelled: Any,
    rewards_by_log: Any,
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = ppo(around(venv)), make_reward(venv)
    learn = labelled(model, reward)
    learn(12)
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(reward, spies), rtol=1e-5)


def test_images_are_channels_first_for_the_agent_and_unchanged_for_the_reward(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    venv = wrap(make_spies(IMAGE, spaces.Discrete(3)))
    model = ppo(venv, "CnnPolicy")
    assert isinstance(model.get_env(), VecTransposeImage)
    seen: list[np.ndarray] = []
    reward = make_reward(venv)
    reward.predict = lambda observations, actions: (
        seen.append(observations) or np.zeros(actions.shape, np.float32)
    )
    learn = labelled(model, reward)
    learn(12)
    assert seen[0].shape == (6, 2, 36, 40, 3)
    assert seen[0].dtype == np.uint8
    stored = model.rollout_buffer.observations.reshape(2, 6, 3, 36, 40)  # flattened, environments first
    np.testing.assert_array_equal(stored.transpose(1, 0, 3, 4, 2), seen[0])


def by_hand(reward: Any, venv: Any, bootstrap: float, done: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two steps of one environment, gamma 0.5, lambda 0.5, values 1 and 2, then 4 after the rollout."""
    model = A2C("MlpPolicy", venv, n_steps=2, gamma=0.5, gae_lambda=0.5, device="cpu")
    buffer: Any = model.rollout_buffer
    observation, action = venv.reset(), np.zeros((1, 2), np.float32)
    buffer.reset()
    for step, value in enumerate([1.0, 2.0]):
        timeout = np.array([bootstrap if step == 1 else 0.0])
        buffer.add(observation, action, timeout, np.zeros(1), torch.tensor([value]), torch.zeros(1))
    ends = torch.tensor([4.0]), np.array([done])
    steps = RolloutSteps(np.zeros((2, 1, 3)), np.zeros((2, 1, 2)), buffer, *ends)
    assert label_rollout(model, steps, reward) == 6.0
    return buffer.advantages[:, 0], buffer.returns[:, 0]


@pytest.mark.parametrize(
    ("bootstrap", "done", "second"),
    [
        (0.0, False, 7.0 + 0.5 * 4.0 - 2.0),
        (0.0, True, 7.0 - 2.0),
        # A timeout: SB3 has put gamma V(terminal) = 0.5 * 6 into the reward, where the learned one is added.
        (3.0, True, 7.0 + 3.0 - 2.0),
    ],
)
def test_advantages_by_hand(
    bootstrap: float, done: bool, second: float, make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    venv = wrap(make_spies(num_envs=1))
    reward = make_reward(venv)
    reward.predict = lambda observations, actions: np.array([[5.0], [7.0]], np.float32)
    advantages, returns = by_hand(reward, venv, bootstrap, done)
    first = 5.0 + 0.5 * 2.0 - 1.0 + 0.5 * 0.5 * second
    np.testing.assert_allclose(advantages, [first, second], rtol=1e-6)
    np.testing.assert_allclose(returns, [first + 1.0, second + 2.0], rtol=1e-6)


def test_a_timeout_is_bootstrapped_as_sb3_does(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(episode_steps=3)
    venv = wrap(spies)
    model, reward = ppo(venv, gamma=0.5), make_reward(venv)
    learn = labelled(model, reward)
    with torch.no_grad():
        for name, parameter in model.policy.value_net.named_parameters():
            parameter.fill_(8.0 if name == "bias" else 0.0)  # V = 8 everywhere
    model.learning_rate = 0.0
    model._setup_lr_schedule()
    learn(12)
    bootstrap = np.zeros((6, 2))
    bootstrap[[2, 5]] = 0.5 * 8.0
    np.testing.assert_allclose(
        model.rollout_buffer.rewards, rewards_by_log(reward, spies) + bootstrap, rtol=1e-5
    )


def test_before_the_first_reward_policy_and_critic_are_unchanged(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    venv = wrap(make_spies())
    model = ppo(venv, ent_coef=0.0)
    learn = labelled(model, make_reward(venv, version=0))
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    learn(12)
    assert not model.rollout_buffer.advantages.any()
    np.testing.assert_array_equal(model.rollout_buffer.returns, model.rollout_buffer.values)
    for name, value in model.policy.state_dict().items():
        # Adam blows the critic's rounding errors up to about its step size, here three of them; no further.
        limit = 3 * model.learning_rate if "value" in name else 0.0
        assert torch.allclose(value, before[name], rtol=0.0, atol=limit), name


def test_an_interrupted_rollout_does_not_affect_the_next(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = ppo(venv), make_reward(venv)
    learn = labelled(model, reward)
    calls = iter([True, True, False])
    learn(12, callback=[ConvertCallback(lambda *_: next(calls))])
    learn(12)
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(reward, spies)[-6:], rtol=1e-5)


def test_a_custom_buffer_class_is_labelled(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    class OwnBuffer(RolloutBuffer):
        pass

    spies = make_spies()
    venv = wrap(spies)
    model, reward = ppo(venv, rollout_buffer_class=OwnBuffer), make_reward(venv)
    labelled(model, reward)(12)
    assert type(model.rollout_buffer) is OwnBuffer
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(reward, spies), rtol=1e-5)


def test_the_weights_are_those_of_an_environment_that_gives_the_learned_reward(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    models = []
    for is_loop in (True, False):
        venv = wrap(make_spies(episode_steps=4))
        reward = make_reward(venv)
        model = ppo(venv)
        if is_loop:
            labelled(model, reward)(24)
        else:
            venv.begin_training(reward)
            model.learn(24)
        models.append(model.policy.state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_after_training_the_algorithm_is_restored(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    venv = wrap(make_spies())
    model = ppo(venv)
    before = set(vars(model.rollout_buffer))
    labelled(model, make_reward(venv))(12)
    assert type(model.rollout_buffer) is RolloutBuffer
    assert set(vars(model.rollout_buffer)) == before
