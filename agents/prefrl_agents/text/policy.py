"""A causal language model as the policy of Stable-Baselines3's actor-critic algorithms.

The action is the next token. Two things make it fast: acting keeps a cache, so that a text is not recomputed for every
token (`prefrl.text.models.RowDecoder`), and learning computes a text once, not once per token (`TokenBatch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from prefrl.text.models import LanguageModel, RowDecoder
from prefrl_agents.text.log_probs import token_log_probs

__all__ = ["LanguageModelPolicy", "TokenBatch"]


@dataclass(frozen=True)
class TokenBatch:
    """Steps of whole texts: M tokens that were chosen, in B texts of at most L tokens."""

    ids: Tensor
    """shape (B, L) int64, padded on the right"""
    texts: Tensor
    """shape (M,) int64, the text of each step"""
    positions: Tensor
    """shape (M,) int64, where in it the chosen token stands; never 0"""

    @property
    def tokens(self) -> Tensor:
        """The chosen tokens, shape (M,)."""
        return self.ids[self.texts, self.positions]


class LanguageModelPolicy(ActorCriticPolicy):
    """Chooses the next token of a text, observed in a `prefrl_envs.text.TextSpace`.

    The value of a text is a linear function, zero at first, of the hidden state that also gives the logits. SB3's own
    algorithms can train it, ``PPO(LanguageModelPolicy, venv)``; `TokenPPO` is many times faster.

    Args:
        observation_space: a `prefrl_envs.text.TextSpace`.
        action_space: Discrete(V).
        lr_schedule: as SB3 gives it.
        model: one of `prefrl.text.models.SIZES`, a checkpoint's folder or name, or a `LanguageModel.architecture`.
        temperature: divides the logits, both in acting and in learning.
        lora_rank: train low-rank adapters of this rank instead of all weights (needs `peft`).
        seed: of fresh weights.
        use_sde: must be False; SB3 always passes it.
        optimizer_class: of the trained weights.
        optimizer_kwargs: its arguments but the learning rate; eps is 1e-5 unless given.

    Raises:
        ValueError: when the spaces are not those of texts, the model does not suit them, or the temperature is not
            above 0.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        model: str | dict[str, Any] = "tiny",
        temperature: float = 1.0,
        lora_rank: int | None = None,
        seed: int = 0,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        optimizer_kwargs = {"eps": 1e-5} | (optimizer_kwargs or {})
        # Not ActorCriticPolicy's own, which builds networks over flattened observations.
        super(ActorCriticPolicy, self).__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        _check(observation_space, action_space, temperature, use_sde)
        space: Any = observation_space
        self.temperature, self.eos_id = temperature, int(space.eos_id)
        self._made_of = {"model": model, "temperature": temperature, "lora_rank": lora_rank, "seed": seed}
        self.max_tokens = int(space.max_prompt_tokens + space.max_new_tokens)
        language_model = LanguageModel.make(
            model, int(space.vocab_size), self.max_tokens, int(space.pad_id), self.eos_id, seed
        )
        self.language_model = language_model.with_lora(lora_rank) if lora_rank else language_model
        self.value_head = nn.Linear(language_model.num_features, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.action_dist = CategoricalDistribution(int(space.vocab_size))
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trained, lr=lr_schedule(1), **optimizer_kwargs)  # type: ignore[call-arg]  # all take it
        self.reference: LanguageModel | None = None
        self._decoder: RowDecoder | None = None

    def keep_reference(self) -> None:
        """Keep the present model as the reference of a KL penalty. A model with adapters needs no copy: without them it
        is the reference.
        """
        self.reference = self.language_model.begin_reference()

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Next tokens (N,), values (N, 1) and log-probabilities (N,) of unfinished texts."""
        hidden = self._last_hidden(obs)
        distribution = self._distribution(hidden)
        tokens = distribution.get_actions(deterministic=deterministic)
        return tokens, self.value_head(hidden), distribution.log_prob(tokens)

    def evaluate_actions(
        self, obs: PyTorchObs | TokenBatch, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values (M, 1), log-probabilities (M,) and entropies (M,) of M steps.

        Args:
            obs: the text so far at each step, as SB3 stores it; or the whole texts.
            actions: the chosen tokens, shape (M,).
        """
        hidden = (
            _hidden_of(self.language_model, obs) if isinstance(obs, TokenBatch) else self._last_hidden(obs)
        )
        distribution = self._distribution(hidden)
        return self.value_head(hidden), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """The distribution of the next tokens."""
        return self._distribution(self._last_hidden(obs))

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Values (N, 1) of unfinished texts."""
        return self.value_head(self._last_hidden(obs))

    @torch.no_grad()
    def reference_log_probs(self, batch: TokenBatch) -> Tensor:
        """Log-probabilities (M,) of the chosen tokens under the model that `keep_reference` kept.

        Raises:
            RuntimeError: when none was kept.
        """
        if self.language_model.has_adapters:
            with self.language_model.without_adapters():
                return self._log_probs(self.language_model, batch)
        if self.reference is None:
            raise RuntimeError("there is no reference; call keep_reference() before training")
        return self._log_probs(self.reference, batch)

    def set_training_mode(self, mode: bool) -> None:
        """Switch between acting and learning. Dropout is always off; before weights change, the cache is cleared."""
        super().set_training_mode(mode)
        if mode:
            self._forget_texts()

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Load weights."""
        self._forget_texts()
        return super().load_state_dict(state_dict, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Without the cache of unfinished texts."""
        return self.__dict__ | {"_decoder": None}

    def _forget_texts(self) -> None:
        if self._decoder is not None:
            self._decoder.clear()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        names = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {**names, "lr_schedule": self._dummy_schedule, **self._made_of}

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.get_distribution(observation).get_actions(deterministic=deterministic)

    def _distribution(self, hidden: Tensor) -> Distribution:
        return self.action_dist.proba_distribution(self.language_model.logits(hidden, self.temperature))

    def _log_probs(self, model: LanguageModel, batch: TokenBatch) -> Tensor:
        hidden = _hidden_of(model, batch)
        return token_log_probs(model.logits(hidden, self.temperature)[None], batch.tokens[None])[0]

    def _last_hidden(self, obs: PyTorchObs) -> Tensor:
        assert isinstance(obs, dict)
        ids, lengths = obs["input_ids"].long(), obs["length"].long().flatten()
        if torch.is_grad_enabled() or self.training:
            ids = ids[:, : int(lengths.max())]
            return self.language_model.hidden(ids)[torch.arange(len(ids), device=ids.device), lengths - 1]
        if self._decoder is None or self._decoder.num_rows != len(ids):
            self._decoder = RowDecoder(self.language_model, len(ids), self.max_tokens)
        return self._decoder.hidden(ids, lengths)


def _hidden_of(model: LanguageModel, batch: TokenBatch) -> Tensor:
    """The hidden states (M, D) from which the tokens were chosen: those of the tokens before them."""
    return model.hidden(batch.ids)[batch.texts, batch.positions - 1]


def _check(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], temperature: float, use_sde: bool
) -> None:
    if not hasattr(observation_space, "eos_id") or not isinstance(action_space, spaces.Discrete):
        raise ValueError(
            f"LanguageModelPolicy takes prefrl_envs.text.TextSpace and Discrete actions, got {observation_space} and "
            f"{action_space}"
        )
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; a finite number above 0 is needed")
    if use_sde:
        raise ValueError("use_sde explores in continuous actions; tokens are none, set it to False")
