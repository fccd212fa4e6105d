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
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize, VecTransposeImage

from prefrl.sb3 import install_buffer

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
def test_rewards_are_those_of_what_was_really_done(
    name: str, make_spies: Callable[..., Any], wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    observed, acted, policy = SPACES[name]
    spies = make_spies(observed, acted)
    venv = wrap(spies)
    # Values around the first ones of a Gaussian of std 1 make actions leave the box, which SB3 then clips.
    model, link = ppo(venv, policy), make_link(venv)
    install_buffer(model, link)
    for rollout in range(2):
        model.learn(12, reset_num_timesteps=rollout == 0)
        expected = rewards_by_log(link, spies)[-6:]
        np.testing.assert_allclose(model.rollout_buffer.rewards, expected, rtol=1e-5)
    assert link.syncs == 2


def test_actions_out_of_the_box_are_rewarded_as_clipped(
    make_spies: Callable[..., Any], wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, link = ppo(venv), make_link(venv)
    install_buffer(model, link)
    model.learn(12)
    assert (model.rollout_buffer.actions < -0.5).any(), "this seed should draw an action out of the box"
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(link, spies), rtol=1e-5)


@pytest.mark.parametrize(
    "around", [lambda v: VecNormalize(v, norm_reward=False), lambda v: VecFrameStack(v, 2)]
)
def test_wrappers_around_change_what_the_agent_sees_and_not_its_reward(
    around: Callable[[VecEnv], VecEnv], make_spies: Any, wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, link = ppo(around(venv)), make_link(venv)
    install_buffer(model, link)
    model.learn(12)
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(link, spies), rtol=1e-5)


def test_images_reach_the_agent_channels_first_and_the_reward_as_they_are(
    make_spies: Any, wrap: Any, make_link: Any
) -> None:
    venv = wrap(make_spies(IMAGE, spaces.Discrete(3)))
    model = ppo(venv, "CnnPolicy")
    assert isinstance(model.get_env(), VecTransposeImage)
    seen: list[np.ndarray] = []
    link = make_link(venv)
    link.predict = lambda observations, actions: (
        seen.append(observations) or np.zeros(actions.shape, np.float32)
    )
    install_buffer(model, link)
    model.learn(12)
    assert seen[0].shape == (6, 2, 36, 40, 3)
    assert seen[0].dtype == np.uint8
    stored = model.rollout_buffer.observations.reshape(2, 6, 3, 36, 40)  # flattened, environments first
    np.testing.assert_array_equal(stored.transpose(1, 0, 3, 4, 2), seen[0])


class ByHand:
    """Two steps of one environment, gamma 0.5, lambda 0.5, values 1 and 2, then 4 after the rollout."""

    def advantages(self, link: Any, venv: Any, bootstrap: float, done: bool) -> tuple[np.ndarray, np.ndarray]:
        model = A2C("MlpPolicy", venv, n_steps=2, gamma=0.5, gae_lambda=0.5, device="cpu")
        install_buffer(model, link)
        buffer: Any = model.rollout_buffer
        observation, action = venv.reset(), np.zeros((1, 2), np.float32)
        buffer.reset()
        for step, value in enumerate([1.0, 2.0]):
            venv.step(action)
            reward = np.array([bootstrap if step == 1 else 0.0])
            buffer.add(observation, action, reward, np.zeros(1), torch.tensor([value]), torch.zeros(1))
        buffer.compute_returns_and_advantage(torch.tensor([4.0]), np.array([done]))
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
    bootstrap: float, done: bool, second: float, make_spies: Any, wrap: Any, make_link: Any
) -> None:
    venv = wrap(make_spies(num_envs=1))
    link = make_link(venv)
    link.predict = lambda observations, actions: np.array([[5.0], [7.0]], np.float32)
    advantages, returns = ByHand().advantages(link, venv, bootstrap, done)
    first = 5.0 + 0.5 * 2.0 - 1.0 + 0.5 * 0.5 * second
    np.testing.assert_allclose(advantages, [first, second], rtol=1e-6)
    np.testing.assert_allclose(returns, [first + 1.0, second + 2.0], rtol=1e-6)


def test_a_timeout_is_bootstrapped_as_sb3_does(
    make_spies: Any, wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(episode_steps=3)
    venv = wrap(spies)
    model, link = ppo(venv, gamma=0.5), make_link(venv)
    install_buffer(model, link)
    with torch.no_grad():
        for name, parameter in model.policy.value_net.named_parameters():
            parameter.fill_(8.0 if name == "bias" else 0.0)  # V = 8 everywhere
    model.learning_rate = 0.0
    model._setup_lr_schedule()
    model.learn(12)
    bootstrap = np.zeros((6, 2))
    bootstrap[[2, 5]] = 0.5 * 8.0
    np.testing.assert_allclose(
        model.rollout_buffer.rewards, rewards_by_log(link, spies) + bootstrap, rtol=1e-5
    )


def test_before_the_first_reward_policy_and_critic_stay(make_spies: Any, wrap: Any, make_link: Any) -> None:
    venv = wrap(make_spies())
    model = ppo(venv, ent_coef=0.0)
    install_buffer(model, make_link(venv, version=0))
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(12)
    assert not model.rollout_buffer.advantages.any()
    np.testing.assert_array_equal(model.rollout_buffer.returns, model.rollout_buffer.values)
    for name, value in model.policy.state_dict().items():
        # Adam blows the critic's rounding errors up to about its step size, here three of them; no further.
        limit = 3 * model.learning_rate if "value" in name else 0.0
        assert torch.allclose(value, before[name], rtol=0.0, atol=limit), name


def test_a_rollout_cut_short_does_not_spill_into_the_next(
    make_spies: Any, wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, link = ppo(venv), make_link(venv)
    install_buffer(model, link)
    calls = iter([True, True, False])
    model.learn(12, callback=lambda *_: next(calls))
    model.learn(12)
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(link, spies)[-6:], rtol=1e-5)


def test_a_buffer_of_its_own_class_gets_the_reward_from_the_environment(
    make_spies: Any, wrap: Any, make_link: Any, rewards_by_log: Any
) -> None:
    class OwnBuffer(RolloutBuffer):
        pass

    spies = make_spies()
    venv = wrap(spies)
    model, link = ppo(venv, rollout_buffer_class=OwnBuffer), make_link(venv)
    assert install_buffer(model, link) is False
    model.learn(12)
    assert type(model.rollout_buffer) is OwnBuffer
    np.testing.assert_allclose(model.rollout_buffer.rewards, rewards_by_log(link, spies), rtol=1e-5)


def test_learning_on_without_the_loop_is_refused(make_spies: Any, wrap: Any, make_link: Any) -> None:
    venv = wrap(make_spies())
    model = ppo(venv)
    install_buffer(model, make_link(venv))
    model.learn(12)
    venv.end_training()
    with pytest.raises(RuntimeError, match="pass the loop to every call of learn"):
        model.learn(12)
