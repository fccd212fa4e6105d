"""Stable-Baselines3's PPO for tokens, which runs the network once per text instead of once per token.

Given the same tokens, log-probabilities, values, advantages and the first gradient are those of
``PPO(LanguageModelPolicy, venv)``, which the tests check. Added is what learning from a reward model needs: a penalty
on the KL to the model that training started from, a penalty on responses without an end, and PPO's details for
language models.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import FloatSchedule, explained_variance
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch import Tensor

from prefrl.sb3 import PreferenceVecEnv
from prefrl_agents.text.kl import KL_ESTIMATORS, AdaptiveKL, FixedKL, KLController, KLEstimator
from prefrl_agents.text.optimising import clipped_step
from prefrl_agents.text.policy import LanguageModelPolicy
from prefrl_agents.text.policy_losses import PolicyStatistics, ppo_policy_loss, ppo_value_loss
from prefrl_agents.text.rollout import TokenRolloutBuffer, TokenSamples

__all__ = ["TokenPPO"]

_REFERENCE_STEPS = 8192
"""steps whose reference log-probabilities are computed in one pass"""
_MOST_KL = 1e-4
"""largest KL that rounding explains, nats per token, between acting and learning on the first minibatch"""
_LEAST_STD = 1e-8


class TokenPPO(PPO):
    """PPO on texts, with a penalty on the KL to the model that training starts from.

    `finish_rollout` turns the rewards of a rollout into penalised ones, and these into advantages. In a preference
    loop, whoever labels the rollout calls it; otherwise the algorithm does at the end of each rollout.

    Args:
        policy: `LanguageModelPolicy`, or "LanguageModelPolicy".
        env: vector environment of `prefrl_envs.text.TextSpace` observations, such as
            ``NativeVecEnv(gymnasium.make_vec("prefrl/RandomWalks-v0", 64))``. A text that reaches the length limit
            is scored as it stands; no value is bootstrapped there.
        learning_rate: a number or a schedule.
        n_steps: tokens per rollout and environment; by default the longest response.
        batch_size: least number of tokens in a minibatch, which holds whole texts; by default the whole rollout.
        kl_coefficient: penalty per nat of KL to the reference, beta; 0 keeps no reference.
        kl_target: KL in nats per response that the coefficient adapts to; None keeps the coefficient fixed.
        kl_estimator: "k1", "k2" or "k3".
        missing_eos_penalty: penalty on a response that the length limit cut off.
        whiten_advantages: scale advantages to mean 0 and standard deviation 1 over the tokens of a rollout.
        ppo: other arguments of SB3's PPO. Defaults that differ: 4 epochs, gamma 1, value clip .2, vf_coef .1,
            ent_coef 0, max_grad_norm 1, normalize_advantage False.

    Source of the details: Ziegler et al. 2019; Huang et al. 2024, "The N+ implementation details of RLHF with PPO".

    Raises:
        ValueError: when the environment is not one of texts, or a setting is out of its range.
    """

    policy: LanguageModelPolicy
    rollout_buffer: TokenRolloutBuffer
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"LanguageModelPolicy": LanguageModelPolicy}

    def __init__(
        self,
        policy: str | type[LanguageModelPolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule = 1e-4,
        n_steps: int | None = None,
        batch_size: int | None = None,
        kl_coefficient: float = 0.05,
        kl_target: float | None = None,
        kl_estimator: KLEstimator = "k1",
        missing_eos_penalty: float = 0.0,
        whiten_advantages: bool = True,
        _init_setup_model: bool = True,
        **ppo: Any,
    ) -> None:
        self.kl: KLController = _controller(kl_coefficient, kl_target, kl_estimator)
        self.kl_coefficient, self.kl_target = kl_coefficient, kl_target
        self.kl_estimator: KLEstimator = kl_estimator
        self.keeps_reference = kl_coefficient > 0
        self.missing_eos_penalty, self.whiten_advantages = missing_eos_penalty, whiten_advantages
        # Without an environment a saved agent is being rebuilt, and its space is set afterwards.
        n_steps = n_steps or (1 if env is None else _longest_response(env))
        defaults: dict[str, Any] = {
            "n_epochs": 4,
            "gamma": 1.0,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "clip_range_vf": 0.2,
            "vf_coef": 0.1,
            "ent_coef": 0.0,
            "max_grad_norm": 1.0,
            "normalize_advantage": False,
            "rollout_buffer_class": TokenRolloutBuffer,
        }
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # None while a saved agent is rebuilt
            learning_rate,
            n_steps,
            # SB3 needs a batch size above 1 that divides the rollout; our minibatches are whole texts.
            n_steps * getattr(env, "num_envs", 1),
            _init_setup_model=False,
            **(defaults | ppo),
        )
        self.batch_size = batch_size  # type: ignore[assignment]
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        # A saved agent is rebuilt from this without the checkpoint that it started from, and its weights are loaded.
        self.policy_kwargs = self.policy_kwargs | {"model": self.policy.language_model.architecture}
        if self.keeps_reference:
            self.policy.keep_reference()

    def finish_rollout(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Subtract the penalties from the rewards in the rollout buffer, then compute returns and advantages.

        Call it once for each rollout, when its rewards are complete.

        Args:
            last_values: values after the last step, N of them.
            dones: shape (N,), whether the last step ended a text.
        """
        buffer = self.rollout_buffer
        buffer.mark_ends(dones)
        self._penalise(buffer)
        buffer.compute_returns_and_advantage(last_values, dones)
        if self.whiten_advantages and buffer.advantages.size > 1:
            centred = buffer.advantages - buffer.advantages.mean()
            buffer.advantages = centred / (buffer.advantages.std(ddof=1) + _LEAST_STD)

    def get_trainer_state(self) -> dict[str, float]:
        """What changes in training besides weights, optimisers and counters, for saving."""
        return {"kl_coefficient": self.kl.coefficient}

    def set_trainer_state(self, state: dict[str, float]) -> None:
        """Inverse of `get_trainer_state`."""
        self.kl.coefficient = state["kl_coefficient"]

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        if isinstance(callback, list):
            callback = CallbackList(callback)
        elif not isinstance(callback, BaseCallback):
            callback = ConvertCallback(callback)
        # First in the list, so that the user's callbacks find the rollout finished.
        return super()._init_callback(CallbackList([_FinishRollout(self), callback]), progress_bar)

    def train(self) -> None:
        """Learn from the rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        assert isinstance(self.clip_range, FloatSchedule)
        clip = self.clip_range(self._current_progress_remaining)
        statistics: list[tuple[float, float, float, PolicyStatistics]] = []
        epochs = 0
        while epochs < self.n_epochs:
            for samples in self.rollout_buffer.get(self.batch_size):
                loss, parts = self._loss(samples, clip)
                if not statistics:
                    _check_ratio(parts[3])
                statistics.append(parts)
                clipped_step(self.policy.optimizer, loss, self.max_grad_norm)
            epochs += 1
            if self.target_kl is not None and statistics[-1][3].approx_kl > 1.5 * self.target_kl:
                break
        self._n_updates += epochs
        self._log(statistics, epochs)

    def _loss(
        self, samples: TokenSamples, clip: float
    ) -> tuple[Tensor, tuple[float, float, float, PolicyStatistics]]:
        values, log_prob, entropy = self.policy.evaluate_actions(samples.observations, samples.actions)
        assert entropy is not None
        mask = torch.ones_like(log_prob, dtype=torch.bool)[None]
        advantages = samples.advantages
        policy_loss, statistics = ppo_policy_loss(
            log_prob[None], samples.old_log_prob[None], advantages[None], mask, clip, clip
        )
        value_clip = float("inf")
        if self.clip_range_vf is not None:
            assert isinstance(self.clip_range_vf, FloatSchedule)
            value_clip = self.clip_range_vf(self._current_progress_remaining)
        value_loss = ppo_value_loss(
            values.flatten()[None], samples.old_values[None], samples.returns[None], mask, value_clip
        )
        loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy.mean()
        figures = [float(part.detach()) for part in (policy_loss, value_loss, entropy.mean())]
        return loss, (figures[0], figures[1], figures[2], statistics)

    @torch.no_grad()
    def _penalise(self, buffer: TokenRolloutBuffer) -> None:
        """Subtract the penalties from the rollout's rewards, and log reward, penalties and total."""
        ends = buffer.ends
        num_episodes = max(1, int(ends.sum()))
        is_cut_off = ends & (buffer.actions.reshape(ends.shape) != self.policy.eos_id)
        self.logger.record("rollout/task_reward", float(buffer.rewards.sum()) / num_episodes)
        self.logger.record("rollout/missing_eos", float(is_cut_off.sum()) / num_episodes)
        buffer.rewards -= self.missing_eos_penalty * is_cut_off
        if self.keeps_reference:
            reference = self._reference_log_probs(buffer)
            log_probs = torch.from_numpy(buffer.log_probs)
            kl = KL_ESTIMATORS[self.kl_estimator](log_probs, torch.from_numpy(reference)).numpy()
            buffer.rewards -= self.kl.coefficient * kl
            mean_kl = float((buffer.log_probs - reference).sum()) / num_episodes
            self.logger.record("rollout/kl", mean_kl)
            self.logger.record("rollout/kl_coefficient", self.kl.coefficient)
            self.kl.update(mean_kl, num_episodes)
        self.logger.record("rollout/total_reward", float(buffer.rewards.sum()) / num_episodes)

    def _reference_log_probs(self, buffer: TokenRolloutBuffer) -> np.ndarray:
        """Log-probabilities (n_steps, N) of the chosen tokens by the reference."""
        reference = np.zeros_like(buffer.log_probs)
        by_length = sorted(buffer.spans, key=lambda span: span.num_tokens)
        for part in buffer.batches(_REFERENCE_STEPS, by_length):
            found = self.policy.reference_log_probs(buffer.token_batch(part))
            reference[buffer.steps_of(part)] = found.cpu().numpy()
        return reference

    def _log(self, statistics: list[tuple[float, float, float, PolicyStatistics]], epochs: int) -> None:
        policy_loss, value_loss, entropy, ratios = zip(*statistics, strict=True)
        record = self.logger.record
        record("train/policy_gradient_loss", np.mean(policy_loss))
        record("train/value_loss", np.mean(value_loss))
        record("train/entropy", np.mean(entropy))
        record("train/approx_kl", float(ratios[-1].approx_kl))
        record("train/clip_fraction", np.mean([float(each.clip_fraction) for each in ratios]))
        record("train/ratio_max", max(float(each.ratio_max) for each in ratios))
        buffer = self.rollout_buffer
        record(
            "train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        )
        record("train/epochs", epochs)
        record("train/n_updates", self._n_updates, exclude="tensorboard")


class _FinishRollout(BaseCallback):
    """Finishes each rollout whose rewards are the environment's own."""

    def __init__(self, trained: TokenPPO) -> None:
        super().__init__()
        self._trained = trained

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if not _is_labelled_by_the_loop(self._trained.get_env()):
            self._trained.finish_rollout(self.locals["values"], self.locals["dones"])


def _is_labelled_by_the_loop(venv: VecEnv | None) -> bool:
    """Whether the rewards are still to come when a rollout ends."""
    while isinstance(venv, VecEnvWrapper):
        if isinstance(venv, PreferenceVecEnv):
            return True
        venv = venv.venv
    return False


def _longest_response(env: Any) -> int:
    space = getattr(env, "observation_space", None)
    if not hasattr(space, "eos_id"):
        raise ValueError(
            f"TokenPPO needs observations in a prefrl_envs.text.TextSpace, not in {space}; for others, take SB3's PPO"
        )
    return int(space.max_new_tokens)  # type: ignore[union-attr]


def _controller(coefficient: float, target: float | None, estimator: str) -> KLController:
    if estimator not in KL_ESTIMATORS:
        raise ValueError(f"kl_estimator is {estimator!r}; it must be one of {list(KL_ESTIMATORS)}")
    if target is None:
        return FixedKL(coefficient)
    return AdaptiveKL(coefficient, target)


def _check_ratio(statistics: PolicyStatistics) -> None:
    """Before the first update, the policy's probabilities must be those it acted with, up to rounding."""
    # Not by the mean ratio: over samples of one policy it is 1 for any other policy.
    off = float(statistics.approx_kl)
    if not off < _MOST_KL:
        raise RuntimeError(
            f"the KL between acting and learning is {off:.3g} nats per token before the first update, where it has to "
            f"be 0 and the ratio of probabilities 1 (the largest is {float(statistics.ratio_max):.3g}); look for "
            "dropout, another temperature, weights changed in between, or numbers that are not finite"
        )
