"""`OveroptimisationCallback`: what it records of each rollout, when it stops, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.vec_env import VecEnv

from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import ends_text, response_tokens
from prefrl.sb3 import NativeVecEnv, RewardVecEnv
from prefrl_agents.text import LanguageModelPolicy, OveroptimisationCallback, OveroptimisationPoint, TokenPPO
from prefrl_agents.text.overoptimisation_callback import plot_overoptimisation
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.random_walks import RandomWalks

NUM_ENVS, N_STEPS = 8, 20


class Longer:
    """A hacked learned reward: 0.1 for each token of a response."""

    def __init__(self, venv: VecEnv) -> None:
        self.observation_spec, self.action_spec = SpaceSpec.pair(venv.observation_space, venv.action_space)

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        ended = ends_text(self.observation_spec, observations, actions)
        return (ended * response_tokens(observations) / 10).astype(np.float32)


class Notes(BaseCallback):
    """Computes the same values for each rollout independently."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[list[tuple[float, float]]] = [[]]
        """true return and length of the texts that ended, by rollout"""
        self.kl_sums: list[float] = []
        self.distinct_2: list[float] = []

    def _on_step(self) -> bool:
        told = [info["episode"] for info in self.locals["infos"] if "episode" in info]
        self.ended[-1] += [(each["r"], each["l"]) for each in told]
        return True

    def _on_rollout_end(self) -> None:
        model = self.model
        assert isinstance(model, TokenPPO)
        buffer = model.rollout_buffer
        reference = model.policy.reference_log_probs(buffer.token_batch(buffer.spans)).numpy()
        self.kl_sums.append(float((buffer.log_probs[buffer.steps_of(buffer.spans)] - reference).sum()))
        tokens = buffer.actions[..., 0]
        pairs = [
            (tokens[step, env], tokens[step + 1, env])
            for step, env in np.argwhere(~buffer.ends[:-1]).tolist()
        ]
        self.distinct_2.append(len(set(pairs)) / len(pairs))
        self.ended.append([])


def walks() -> NativeVecEnv:
    venv = NativeVecEnv(TextGenVectorEnv(RandomWalks(), NUM_ENVS))
    venv.seed(3)
    return venv


def agent(venv: VecEnv | None = None, kl_coefficient: float = 1e-4, n_steps: int = N_STEPS) -> TokenPPO:
    settings = {"kl_coefficient": kl_coefficient, "n_steps": n_steps, "learning_rate": 1e-2, "seed": 1}
    inner = walks()
    return TokenPPO(LanguageModelPolicy, venv or RewardVecEnv(inner, Longer(inner)), **settings)  # type: ignore[arg-type]


def test_every_rollout_is_recorded() -> None:
    callback, notes = OveroptimisationCallback(), Notes()
    agent().learn(6 * N_STEPS * NUM_ENVS, callback=CallbackList([callback, notes]))
    assert [each.steps for each in callback.history] == [n * N_STEPS * NUM_ENVS for n in range(1, 7)]
    for number, found in enumerate(callback.history):
        returns, lengths = np.array(notes.ended[number]).T
        assert found.gold == pytest.approx(returns.mean())
        assert found.tokens == pytest.approx(lengths.mean())
        assert found.proxy == pytest.approx(lengths.mean() / 10)
        assert found.kl == pytest.approx(notes.kl_sums[number] / len(returns), abs=1e-4)
        assert found.distinct_2 == pytest.approx(notes.distinct_2[number])
    assert callback.history[0].kl == pytest.approx(0.0, abs=1e-4), "nothing has been learned yet"
    assert callback.history[-1].kl > 0.1


def test_rollouts_without_a_finished_episode_are_skipped() -> None:
    callback, notes = OveroptimisationCallback(), Notes()
    agent(n_steps=2).learn(40 * NUM_ENVS, callback=CallbackList([callback, notes]))
    *rollouts, _ = notes.ended
    with_ends = [2 * NUM_ENVS * number for number, ended in enumerate(rollouts, start=1) if ended]
    assert [each.steps for each in callback.history] == with_ends
    assert 0 < len(with_ends) < len(rollouts)
    assert not any(math.isnan(figure) for each in callback.history for figure in astuple(each))


def watched(gold: float, kl: float = 0.0, proxy: float = 0.0) -> OveroptimisationPoint:
    return OveroptimisationPoint(steps=0, kl=kl, proxy=proxy, gold=gold, tokens=5.0, distinct_2=0.5)


@pytest.mark.parametrize(
    ("gold", "patience_rollouts", "stops"),
    [
        ([], 1, False),
        ([1.0, 3.0, 2.0], 2, False),
        ([1.0, 3.0, 2.0, 2.5], 2, True),
        ([1.0, 3.0, 2.0, 3.0], 1, False),
        ([3.0, 3.0, 3.0], 1, False),
        ([3.0, 1.0, 1.0, 1.0], None, False),
    ],
)
def test_stops_when_gold_stays_below_its_best(
    gold: list[float], patience_rollouts: int | None, stops: bool
) -> None:
    callback = OveroptimisationCallback(patience_rollouts)
    callback.history = [watched(each) for each in gold]
    callback.locals = {"infos": []}
    assert callback.has_turned == stops
    assert callback._on_step() == (not stops)


def test_stops_above_the_maximum_kl() -> None:
    callback, model = OveroptimisationCallback(most_kl=0.05), agent()
    model.learn(100 * N_STEPS * NUM_ENVS, callback=callback)
    *before, last = [each.kl for each in callback.history]
    assert max(before) <= 0.05 < last
    # At the first step of the rollout after.
    assert model.num_timesteps == (len(callback.history) * N_STEPS + 1) * NUM_ENVS < 100 * N_STEPS * NUM_ENVS


def test_an_agent_without_a_reference_is_refused_before_its_first_step() -> None:
    model = agent(kl_coefficient=0.0)
    with pytest.raises(ValueError, match=r"kl_coefficient is 0, .* give it one above 0"):
        model.learn(1000, callback=OveroptimisationCallback(most_kl=1.0))
    assert model.num_timesteps == 0


def test_agents_without_texts_are_refused() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=16, batch_size=16, device="cpu")
    with pytest.raises(ValueError, match="PPO writes no texts"):
        model.learn(16, callback=OveroptimisationCallback())


def test_an_environment_without_true_returns_is_refused() -> None:
    with pytest.raises(RuntimeError, match="RewardVecEnv"):
        agent(walks()).learn(1000, callback=OveroptimisationCallback())


def test_patience_is_at_least_one_rollout() -> None:
    with pytest.raises(ValueError, match="patience_rollouts is 0"):
        OveroptimisationCallback(patience_rollouts=0)


def test_the_plot_shows_the_rollouts_after_the_reference(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    history = [watched(1.0), *(watched(1 + math.sin(kl), kl, kl) for kl in (0.5, 1.0, 2.0, 4.0))]

    def inked(histories: dict[str, list[OveroptimisationPoint]], colour: tuple[int, int, int]) -> int:
        plot_overoptimisation(histories, tmp_path / "picture.png")
        pixels = image.imread(tmp_path / "picture.png")[..., :3]
        return int((np.abs(pixels - np.array(colour) / 255) < 0.02).all(axis=-1).sum())

    blue, orange = (31, 119, 180), (255, 127, 14)
    # Of the first rollout alone there is nothing but the legend.
    legend = inked({"single": history[:1]}, blue)
    assert inked({"single": history}, blue) > legend > 0
    assert inked({"single": history}, orange) == 0
    assert inked({"single": history, "ensemble": history}, orange) > 0
