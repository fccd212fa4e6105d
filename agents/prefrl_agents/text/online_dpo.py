"""Direct preference optimisation in the loop: the policy learns from the answers, without a learned reward between.

The policy's samples become queries, and each answer is learned from as soon as it arrives (Guo et al. 2024, whose
annotating model is replaced by whoever answers the queries). The learned reward only chooses which queries are asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prefrl.config import DPOConfig, PreferenceKind
from prefrl.data.tokens import complete
from prefrl.data.types import LabelledQuery
from prefrl.text.models import LanguageModel
from prefrl_agents.text.dpo import RankedResponses
from prefrl_agents.text.optimising import clipped_step
from prefrl_agents.text.preference_losses import k_wise_dpo
from prefrl_agents.text.sequences import Sequences, response_log_probs
from prefrl_agents.text.token_ppo import TokenPPO

__all__ = ["OnlineDPO"]

TakeAnswers = Callable[[], Sequence[LabelledQuery]]


class OnlineDPO(TokenPPO):
    """Acts as `TokenPPO` does, and learns from answers to queries instead of rewards.

    An answer that supersedes an earlier one of the same annotator replaces it; "can't tell" and a full tie, which say
    nothing about the policy, remove it.

    Args:
        policy: `LanguageModelPolicy`, or "LanguageModelPolicy".
        env: vector environment of `prefrl_envs.text.TextSpace` observations.
        beta: the larger, the closer the policy stays to the model it starts from.
        kind: of the loss, see `DPOConfig`.
        rankings_per_update: answers per minibatch.
        passes: mean number of times that an answer is learned from: once when it is new, otherwise drawn at random.
        label_smoothing: share of answers assumed wrong, for "cdpo" and "robust".
        others: arguments of `TokenPPO`; those about rewards and advantages have no effect.
    """

    take_answers: TakeAnswers | None = None
    """returns the answers that arrived since its last call, all of them at the first; set by whoever runs the loop"""

    def __init__(
        self,
        policy: Any,
        env: Any,
        beta: float = 0.1,
        kind: PreferenceKind = "sigmoid",
        rankings_per_update: int = 8,
        passes: int = 3,
        label_smoothing: float = 0.0,
        **others: Any,
    ) -> None:
        self.settings = DPOConfig(beta, kind, label_smoothing, batch_size=rankings_per_update)
        self.passes = passes
        self._rankings: dict[tuple[int, str], tuple[RankedResponses, Tensor]] = {}
        """the answers that count, by query and annotator, each with the reference's log-probabilities, shape (1, K)"""
        self.newest_answer = 0
        """id of the newest answer seen; a continued agent is given all answers again and must not learn them twice"""
        # Any coefficient above 0 keeps the reference.
        super().__init__(policy, env, **({"kl_coefficient": 1.0} | others))

    def train(self) -> None:
        """Learn from the answers that have arrived; without new ones nothing is learned."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        new_keys = self._update_rankings()
        if not new_keys:
            return
        rankings = list(self._rankings.values())
        new = [index for index, key in enumerate(self._rankings) if key in new_keys]
        again = torch.randint(len(rankings), (len(new) * (self.passes - 1),))
        order = torch.cat([torch.tensor(new)[torch.randperm(len(new))], again])
        size = self.settings.batch_size
        losses = [
            self._update([rankings[index] for index in part])
            for part in order.tensor_split(math.ceil(len(order) / size))
        ]
        self._n_updates += 1
        self.logger.record("train/dpo_loss", float(np.mean(losses)))
        self.logger.record("train/rankings", len(rankings))

    def _update_rankings(self) -> set[tuple[int, str]]:
        """Take the answers that arrived; returns the keys of those to learn."""
        new = set()
        for item in self.take_answers() if self.take_answers is not None else ():
            comparison = item.comparison
            key, number = (comparison.query_id, comparison.annotator), comparison.id or 0
            # A newer answer goes to the end of the dict, where the data of its age are.
            self._rankings.pop(key, None)
            new.discard(key)
            is_new = number > self.newest_answer
            self.newest_answer = max(self.newest_answer, number)
            if comparison.ranks is None or comparison.is_tie:
                continue
            ranked = _ranked(item, self.policy.language_model.pad_id or 0)
            self._rankings[key] = ranked, self._reference(ranked)
            if is_new:
                new.add(key)
        return new

    def _reference(self, ranked: RankedResponses) -> Tensor:
        model = self.policy.language_model
        if self.policy.reference is None:
            with model.without_adapters():
                return self._log_probs(model, ranked).detach()
        with torch.no_grad():
            return self._log_probs(self.policy.reference, ranked)

    def _log_probs(self, model: LanguageModel, ranked: RankedResponses) -> Tensor:
        sequences = ranked.sequences.to(self.device)
        return (
            response_log_probs(model, sequences, self.policy.temperature).sum(dim=-1).view(ranked.ranks.shape)
        )

    def _update(self, batch: Sequence[tuple[RankedResponses, Tensor]]) -> float:
        ranked = _together([each for each, _ in batch], self.policy.language_model.pad_id or 0)
        reference = torch.cat([log_probs for _, log_probs in batch])
        log_probs = self._log_probs(self.policy.language_model, ranked)
        ranks = ranked.ranks.to(self.device)
        settings = self.settings
        losses, _ = k_wise_dpo(
            log_probs, reference, ranks, settings.beta, settings.kind, settings.label_smoothing
        )
        loss = losses.mean()
        clipped_step(self.policy.optimizer, loss, self.max_grad_norm)
        return float(loss.detach())

    def _excluded_save_params(self) -> list[str]:
        # The run's store keeps the answers, and gives them to a continued agent again.
        return [*super()._excluded_save_params(), "take_answers", "_rankings"]


def _ranked(item: LabelledQuery, pad_id: int) -> RankedResponses:
    segments = item.query.segments
    observations = np.stack([segment.observations[-1] for segment in segments])
    ids, lengths, prompts = complete(observations, np.array([segment.actions[-1] for segment in segments]))
    ids[np.arange(ids.shape[1]) >= lengths[:, None]] = pad_id
    width = int(lengths.max())
    sequences = Sequences(*(torch.from_numpy(array) for array in (ids[:, :width], prompts, lengths)))
    return RankedResponses(sequences, torch.tensor([item.comparison.ranks]))


def _together(rankings: Sequence[RankedResponses], pad_id: int) -> RankedResponses:
    """One batch of rankings of equally many responses, as all of a run are."""
    width = max(each.sequences.ids.shape[1] for each in rankings)
    ids = [
        F.pad(each.sequences.ids, (0, width - each.sequences.ids.shape[1]), value=pad_id) for each in rankings
    ]
    prompts = [each.sequences.prompt_lengths for each in rankings]
    lengths = [each.sequences.lengths for each in rankings]
    sequences = Sequences(torch.cat(ids), torch.cat(prompts), torch.cat(lengths))
    return RankedResponses(sequences, torch.cat([each.ranks for each in rankings]))
