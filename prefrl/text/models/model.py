"""A causal language model as all training here sees it: hidden states and logits."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from prefrl.text.models import adapter

__all__ = ["SIZES", "LanguageModel"]

SIZES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"tiny": (64, 2, 2), "small": (128, 4, 4), "medium": (256, 6, 8), "large": (768, 12, 12)}
)
"""(width, layers, heads) of the models made from scratch: 0.1, 0.8, 5 and 85 million weights without embeddings; the
last is as large as GPT-2, which is a checkpoint and has no name here"""

MASKED_LOGIT = -1e9
"""logit of tokens that are never sampled; minus infinity would make an entropy of NaN"""
_VOCABULARY_MULTIPLE, _VOCABULARY_PADDING = 8, 127
"""padded vocabularies are rounded up to a multiple of 8 at least, mostly of 64 or 128"""
_CHECK_TOKENS = 4
_LOGIT_TOLERANCE = 1e-3
"""absolute, of logits that are the same up to rounding"""


class LanguageModel(nn.Module):
    """Wraps a causal language model: hidden states, logits and nothing else; dropout is always off.

    Dropout would make the log-probabilities of the same tokens differ between acting and learning, and PPO's ratio
    would not start at 1.
    """

    def __init__(self, inner: Any, vocab_size: int | None = None) -> None:
        """Wrap a model of `transformers`, such as ``GPT2LMHeadModel``, in place.

        Args:
            inner: the model. The ``pad_token_id`` that its configuration may name is never sampled, and has no part in
                any probability.
            vocab_size: number of tokens; by default the number of logits, which checkpoints often pad.
        """
        super().__init__()
        adapter.fuse_activations(inner)
        self.inner = inner
        self.vocab_size = self.num_logits if vocab_size is None else vocab_size
        """V"""
        config = adapter.config_of(inner)
        self.pad_id: int | None = config.pad_token_id
        """the padding token, which is never sampled"""
        self.eos_id: int | None = config.eos_token_id
        """the token that ends a text"""
        # With a padding token transformers searches every batch for it and warns that it got no mask. Padding is on
        # the right, where no token attends to it.
        config.pad_token_id = None
        self.eval()

    @classmethod
    def create(
        cls,
        size: str,
        vocab_size: int,
        max_tokens: int,
        pad_id: int | None = None,
        eos_id: int | None = None,
        seed: int = 0,
    ) -> LanguageModel:
        """A GPT-2 of one of the `SIZES` with random weights.

        Args:
            size: "tiny", "small", "medium" or "large".
            vocab_size: tokens in the vocabulary, V.
            max_tokens: longest text, prompt and response together.
            pad_id: the padding token, if there is one.
            eos_id: the token that ends a text, if there is one.
            seed: of the weights; the global random state is left as it was.

        Raises:
            ValueError: when there is no such size.
        """
        if size not in SIZES:
            raise ValueError(f"no language model is called {size!r}; name one of {list(SIZES)} or a folder")
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which seeds the generators of GPUs, too.
            torch.random.default_generator.manual_seed(seed)
            return cls(adapter.build_gpt2(vocab_size, max_tokens, *SIZES[size], pad_id, eos_id))

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> LanguageModel:
        """A checkpoint of `transformers`: a local folder, or a name on the Hugging Face hub.

        The hub is not asked for what is a path: see `prefrl_envs.text.hub_tokenizer.is_local_source`.

        Raises:
            ValueError: when there is none, it is no causal language model, or its logits are not a linear function
                of its hidden states, which all training here relies on.
        """
        try:
            inner = adapter.load_checkpoint(path)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{path} cannot be loaded as a causal language model ({type(error).__name__}: {error}); give the "
                f"folder of a checkpoint with config.json and model.safetensors, or one of {list(SIZES)}"
            ) from error
        model = cls(inner).to(device)
        model._check_logits(path)
        return model

    @classmethod
    def from_config(cls, architecture: Mapping[str, Any]) -> LanguageModel:
        """A model of this `architecture`, with random weights to load others into."""
        with torch.random.fork_rng(devices=[]):
            return cls(adapter.build_from_config(architecture))

    @classmethod
    def make(
        cls,
        name: str | Mapping[str, Any],
        vocab_size: int,
        max_tokens: int,
        pad_id: int | None = None,
        eos_id: int | None = None,
        seed: int = 0,
    ) -> LanguageModel:
        """A fresh model where ``name`` is one of the `SIZES` or an `architecture`, else the checkpoint of that name.

        It is made for the tokens of an environment, which replace a checkpoint's own special tokens: see `create`.

        Raises:
            ValueError: as `create` and `load`, and when a checkpoint has another vocabulary or takes shorter texts.
        """
        if isinstance(name, str) and name in SIZES:
            return cls.create(name, vocab_size, max_tokens, pad_id, eos_id, seed)
        model = cls.load(name) if isinstance(name, str) else cls.from_config(name)
        try:
            model.set_vocabulary(vocab_size, pad_id, eos_id)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if model.max_tokens < max_tokens:
            raise ValueError(
                f"{name} takes texts of at most {model.max_tokens} tokens, prompt and response may have {max_tokens}; "
                "lower max_prompt_tokens or max_new_tokens, or take another checkpoint"
            )
        return model

    def set_vocabulary(self, vocab_size: int, pad_id: int | None, eos_id: int | None) -> None:
        """Use these tokens, whatever the checkpoint says of its own.

        Args:
            vocab_size: V; the model may have a few logits more, as many are padded to a round number, or lack that of
                the padding token.
            pad_id: the padding token, if there is one.
            eos_id: the token that ends a text, if there is one.

        Raises:
            ValueError: when the number of logits cannot belong to this vocabulary.
        """
        if self.num_logits == vocab_size - 1:
            # A tokenizer without a padding token gets one, as GPT-2's does.
            adapter.resize_vocabulary(self.inner, vocab_size)
        surplus = self.num_logits - vocab_size
        is_round = self.num_logits % _VOCABULARY_MULTIPLE == 0
        if surplus < 0 or (surplus and not is_round) or surplus > _max_padding(vocab_size):
            raise ValueError(
                f"the model has a vocabulary of {self.num_logits} tokens, the tokenizer has {vocab_size}; take the "
                "checkpoint and the tokenizer that belong together"
            )
        self.vocab_size, self.pad_id, self.eos_id = vocab_size, pad_id, eos_id

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint in the format of `transformers`, as safetensors, for `load` and other programs."""
        adapter.save_checkpoint(self.merged().inner, folder, self.pad_id, self.eos_id)

    def with_lora(self, rank: int, alpha: int | None = None) -> LanguageModel:
        """The same model with trainable low-rank adapters on all linear layers, everything else frozen.

        Source: Hu et al. 2021. Needs `peft`.

        Args:
            rank: of the adapters.
            alpha: their scale times their rank; by default twice the rank.
        """
        return self._with_inner(adapter.add_lora(self.inner, rank, 2 * rank if alpha is None else alpha))

    @property
    def has_adapters(self) -> bool:
        """Whether the model has low-rank adapters; without them it is its own reference."""
        return adapter.has_lora(self.inner)

    def fold_adapters(self) -> None:
        """Add the adapters to the weights they adapt and start them from zero: the model computes what it did.

        `without_adapters` gives the same then, too.
        """
        adapter.fold_lora(self.inner)

    def merged(self) -> LanguageModel:
        """A copy with the adapters made part of its weights; the model itself where it has none."""
        return self._with_inner(adapter.merge_lora(self.inner)) if self.has_adapters else self

    def _with_inner(self, inner: Any) -> LanguageModel:
        model = LanguageModel(inner, self.vocab_size)
        model.pad_id, model.eos_id = self.pad_id, self.eos_id
        return model

    @contextmanager
    def without_adapters(self) -> Iterator[None]:
        """The model as it was before `with_lora`; only for models that `has_adapters`."""
        with adapter.without_lora(self.inner):
            yield

    def begin_reference(self) -> LanguageModel | None:
        """A frozen copy of the model as it is now, for a KL penalty or DPO.

        None for a model with adapters, which are folded: `without_adapters` it is its own reference.
        """
        if self.has_adapters:
            self.fold_adapters()
            return None
        return copy.deepcopy(self).requires_grad_(False)

    @property
    def backbone(self) -> Any:
        """The model without the layer that computes logits."""
        return adapter.backbone_of(self.inner)

    @property
    def architecture(self) -> dict[str, Any]:
        """All but the weights, JSON-ready; see `from_config`."""
        return adapter.describe(self.inner)

    @property
    def num_logits(self) -> int:
        """Logits that the model computes, V or more."""
        return int(adapter.output_layer(self.inner).weight.shape[0])

    @property
    def num_features(self) -> int:
        """Width of the hidden states, D."""
        return int(adapter.output_layer(self.inner).weight.shape[1])

    @property
    def max_tokens(self) -> int:
        """Longest text; a very large number where the model states no limit."""
        return int(getattr(adapter.config_of(self.inner), "max_position_embeddings", 2**31 - 1))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def train(self, mode: bool = True) -> LanguageModel:
        """Change nothing: dropout stays off."""
        return super().train(False)

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: adapter.KeyValueCache | None = None,
        visible: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """The last layer's hidden states, shape (B, L, D), of token ids (B, L) padded on the right.

        States at padding are arbitrary, and no token attends to them.

        Args:
            ids: int64.
            cache: with the other arguments, for `prefrl.text.models.decoder`: see
                `prefrl.text.models.adapter.hidden_states`.
            visible: bool, places that each token attends to.
            positions: int64, of the tokens.
        """
        return adapter.hidden_states(self.backbone, ids, cache=cache, visible=visible, positions=positions)

    def logits(self, hidden: Tensor, temperature: float = 1.0) -> Tensor:
        """Logits (..., V) of hidden states (..., D), float32, over the temperature; `MASKED_LOGIT` for padding."""
        logits = adapter.output_layer(self.inner)(hidden).float()[..., : self.vocab_size] / temperature
        if self.pad_id is None:
            return logits
        return logits.index_fill(-1, torch.tensor([self.pad_id], device=logits.device), MASKED_LOGIT)

    @torch.no_grad()
    def _check_logits(self, path: str | Path) -> None:
        """Refuse architectures that scale or cap their logits, which would be trained wrongly."""
        count = min(_CHECK_TOKENS, self.max_tokens, self.vocab_size)
        ids = torch.arange(count, device=self.device)[None]
        try:
            whole = adapter.whole_logits(self.inner, ids)
            ours = adapter.output_layer(self.inner)(self.hidden(ids))
            agree = whole.shape == ours.shape and bool(((whole - ours).abs() < _LOGIT_TOLERANCE).all())
        except (AttributeError, TypeError) as error:
            raise ValueError(f"{path} is of an architecture that is not supported: {error}") from error
        if not agree:
            raise ValueError(
                f"{path} is of an architecture whose logits are no linear function of its hidden states, which is "
                "not supported; take one of the GPT-2, Llama, Qwen or Mistral kind"
            )


def _max_padding(vocab_size: int) -> int:
    """Largest number of logits without a token in a checkpoint that was padded for speed; 4% is generous."""
    return max(_VOCABULARY_PADDING, vocab_size // 25)
