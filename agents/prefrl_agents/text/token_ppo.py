"""Stable-Baselines3's PPO for tokens: the same algorithm, with each text computed once.

What is the same, and tested to be: given the same tokens, log-probabilities, values, advantages and the first gradient
of ``PPO(LanguageModelPolicy, venv)``. What is added is what learning from a reward model needs: a penalty on the KL to
the model that training began with, a penalty on responses that never end, and PPO's details for language models.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import FloatSchedule, explained_variance
from torch import Tensor

from prefrl_agents.text.kl import KL_ESTIMATORS, AdaptiveKL, FixedKL, KLController, KLEstimator
from prefrl_agents.text.optimising import clipped_step
from prefrl_agents.text.policy import LanguageModelPolicy
from prefrl_agents.text.policy_losses import PolicyStatistics, ppo_policy_loss, ppo_value_loss
from prefrl_agents.text.rollout import TokenRolloutBuffer, TokenSamples

__all__ = ["TokenPPO"]

_REFERENCE_STEPS = 8192
"""steps whose reference log-probabilities are computed at once"""
_MOST_KL = 1e-4
"""nats a token between acting and learning on the first minibatch, from rounding"""


class TokenPPO(PPO):
    """PPO on texts, penalised for leaving the model it began with.

    Args:
        policy: `LanguageModelPolicy`, or "LanguageModelPolicy".
        env: vector environment of `prefrl_envs.text.TextSpace` observations, such as
            ``NativeVecEnv(gymnasium.make_vec("prefrl/RandomWalks-v0", 64))``, which scores a text that reaches the
            limit as it is, and bootstraps nothing there.
        learning_rate: or a schedule of it.
        n_steps: tokens a rollout of each environment; by default the longest response.
        batch_size: tokens a minibatch, at least: it is made of whole texts. By default the whole rollout.
        kl_coefficient: reward taken for each nat of KL to the reference, beta; 0 keeps no reference.
        kl_target: nats a response that the coefficient is adapted to; None leaves it as it is.
        kl_estimator: "k1", "k2" or "k3".
        missing_eos_penalty: reward taken from a response that the limit cut off.
        whiten_advantages: over all tokens of a rollout.
        ppo: other arguments of SB3's PPO. Defaults that differ: 4 epochs, gamma 1, values clipped by .2,
            vf_coef .1, ent_coef 0, max_grad_norm 1, normalize_advantage False.

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
        self.kl_estimator: KLEstimator = kl_estimator
        self.keeps_reference = kl_coefficient > 0
        self.missing_eos_penalty, self.whiten_advantages = missing_eos_penalty, whiten_advantages
        # Without an environment a saved agent is being loaded, and its settings are still to come.
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
            env,  # type: ignore[arg-type]  # None while a saved agent is loaded
            learning_rate,
            n_steps,
            # SB3 insists that it be above 1, and warns of minibatches that are not of one size; ours are whole texts.
            n_steps * getattr(env, "num_envs", 1),
            _init_setup_model=False,
            **(defaults | ppo),
        )
        self.batch_size = batch_size  # type: ignore[assignment]
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        # A saved agent is built anew and its weights are loaded, so the checkpoint it began with need not be there.
        self.policy_kwargs = self.policy_kwargs | {"model": self.policy.language_model.architecture}
        if self.keeps_reference:
            self.policy.keep_reference()
        self.rollout_buffer.shape_rewards, self.rollout_buffer.whitens = (
            self._shape_rewards,
            self.whiten_advantages,
        )

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
    def _shape_rewards(self, buffer: TokenRolloutBuffer) -> None:
        """Take the penalties from the rollout's rewards, and note the three apart."""
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
        by_length = sorted(buffer.spans, key=lambda piece: len(piece.before) + piece.end - piece.first)
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


def _longest_response(env: Any) -> int:
    space = getattr(env, "observation_space", None)
    if not hasattr(space, "eos_id"):
        raise ValueError(
            f"TokenPPO learns where observations are a prefrl_envs.text.TextSpace, not {space}; take SB3's "
            "PPO for others"
        )
    return int(space.max_new_tokens)  # type: ignore[union-attr]


def _controller(coefficient: float, target: float | None, estimator: str) -> KLController:
    if estimator not in KL_ESTIMATORS:
        raise ValueError(f"kl_estimator is {estimator!r}; it must be one of {list(KL_ESTIMATORS)}")
    if target is None:
        return FixedKL(coefficient)
    return AdaptiveKL(coefficient, target)


def _check_ratio(statistics: PolicyStatistics) -> None:
    """The policy has not changed since it acted, so nothing but rounding may tell its probabilities from then."""
    # Not by the mean ratio, which is 1 for any two policies where one of them sampled.
    off = float(statistics.approx_kl)
    if not off < _MOST_KL:
        raise RuntimeError(
            f"the KL between acting and learning is {off:.3g} nats a token before anything was learned, where it has "
            f"to be 0 and the ratio of probabilities 1 (it is {float(statistics.ratio_max):.3g} at the most); "
            "something differs: dropout, the temperature, weights that were changed in between, or numbers that are "
            "not finite"
        )
