"""A causal language model as the policy of Stable-Baselines3's actor-critic algorithms.

The action is the next token. What distinguishes it from a policy of any other kind is arithmetic: a text under way is
not computed anew for every token (`prefrl.text.models.RowDecoder`), and a text that is learned from is computed once,
not once for each of its tokens (`TokenBatch`).
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
    """Takes observations of `prefrl_envs.text.TextSpace` and chooses the next token.

    The value of a text so far is a linear function, zero at first, of the same hidden state that the logits come from.
    Stock algorithms train it, ``PPO(LanguageModelPolicy, venv)``; `TokenPPO` does so many times faster.

    Args:
        observation_space: a `prefrl_envs.text.TextSpace`.
        action_space: Discrete(V).
        lr_schedule: as SB3 gives it.
        model: one of `prefrl.text.models.SIZES`, a checkpoint's folder or name, or a `LanguageModel.architecture`.
        temperature: logits are divided by it, when acting and when learning alike.
        lora_rank: train low-rank adapters of this rank in place of all weights (needs `peft`).
        seed: of fresh weights.
        use_sde: must be False; SB3 names it always.
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
        """Keep the model as it is now, for a KL penalty; one with adapters needs no copy, they can be left out."""
        self.reference = self.language_model.begin_reference()

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Next tokens (N,), values (N, 1) and log-probabilities (N,) of texts under way."""
        hidden = self._last_hidden(obs)
        distribution = self._distribution(hidden)
        tokens = distribution.get_actions(deterministic=deterministic)
        return tokens, self.value_head(hidden), distribution.log_prob(tokens)

    def evaluate_actions(
        self, obs: PyTorchObs | TokenBatch, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values (M, 1), log-probabilities (M,) and entropies (M,) of M steps.

        Args:
            obs: one beginning of a text for each step, as SB3 stores them; or the whole texts.
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
        """Values (N, 1) of texts under way."""
        return self.value_head(self._last_hidden(obs))

    @torch.no_grad()
    def reference_log_probs(self, batch: TokenBatch) -> Tensor:
        """Log-probabilities (M,) of the chosen tokens by the model that `keep_reference` kept.

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
        """Dropout is off always; weights that are about to change make what was cached useless."""
        super().set_training_mode(mode)
        if mode:
            self._forget_texts()

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Load weights."""
        self._forget_texts()
        return super().load_state_dict(state_dict, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Without the texts under way."""
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
    """What each step's token was chosen by, shape (M, D): the hidden state of the token before it."""
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
