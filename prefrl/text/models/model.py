"""A causal language model of Hugging Face's, as all that is trained here sees it: hidden states and logits."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SIZES", "LanguageModel"]

SIZES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"tiny": (64, 2, 2), "small": (128, 4, 4), "medium": (256, 6, 8), "large": (768, 12, 12)}
)
"""(width, layers, heads) of the models made from scratch: 0.1, 0.8, 5 and 85 million weights, embeddings apart;
the last is as large as GPT-2, which is a checkpoint and not called by a size"""

_DROPOUTS = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout", "dropout")
"""what dropout is called in the configurations of the models there are"""
MASKED_LOGIT = -1e9
"""of tokens that are never sampled; minus infinity would make an entropy of NaN"""
_PADDED_TO, _PADDED_BY = 8, 127
"""vocabularies that are padded are to a multiple of 8 at least, mostly of 64 or 128"""
_SCALE_CHECK_TOKENS = 4
_LOGITS_AGREE = 1e-3
"""absolute, of logits that should be the same but for rounding"""


class LanguageModel(nn.Module):
    """Wraps a causal language model: hidden states, logits and nothing else; dropout is always off.

    Dropout would make the log-probabilities of the same tokens differ between acting and learning, and PPO's ratio
    would not start at 1.
    """

    def __init__(self, inner: Any, vocab_size: int | None = None) -> None:
        """Take a model of `transformers`, such as ``GPT2LMHeadModel``, as it is.

        Args:
            inner: the model. The ``pad_token_id`` that its configuration may name is never sampled, and has no part in
                any probability.
            vocab_size: tokens that there are; by default as many as there are logits, which checkpoints often pad.
        """
        super().__init__()
        _fuse_activations(inner)
        self.inner = inner
        self.vocab_size = self.num_logits if vocab_size is None else vocab_size
        """V"""
        config = self._bare.config
        self.pad_id: int | None = config.pad_token_id
        """the token of padding, which is never sampled"""
        self.eos_id: int | None = config.eos_token_id
        """the token that ends a text"""
        # transformers would look for it in every batch, and warn that it is not told of it: it is on the right, where
        # no token looks.
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
            pad_id: of padding, if there is any.
            eos_id: of the token that ends a text, likewise.
            seed: of the weights; the global random state is left as it was.

        Raises:
            ValueError: when there is no such size.
        """
        from transformers import GPT2Config, GPT2LMHeadModel

        if size not in SIZES:
            raise ValueError(f"no language model is called {size!r}; name one of {list(SIZES)} or a folder")
        width, layers, heads = SIZES[size]
        config = GPT2Config(
            vocab_size=vocab_size,
            n_positions=max_tokens,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            bos_token_id=None,
            eos_token_id=eos_id,
            pad_token_id=pad_id,
            **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
        )
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which seeds the generators of GPUs, too.
            torch.random.default_generator.manual_seed(seed)
            return cls(GPT2LMHeadModel(config))

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> LanguageModel:
        """A checkpoint of `transformers`: a local folder, or a name on the Hugging Face hub.

        Raises:
            ValueError: when there is none, it is no causal language model, or its logits are not a linear function
                of its hidden states, which all that is trained here relies on.
        """
        from transformers import AutoModelForCausalLM

        try:
            with _without_bars():
                inner = AutoModelForCausalLM.from_pretrained(
                    str(path), dtype=torch.float32, use_safetensors=True
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{path} cannot be loaded as a causal language model ({type(error).__name__}: {error}); give the "
                f"folder of a checkpoint with config.json and model.safetensors, or one of {list(SIZES)}"
            ) from error
        for name in _DROPOUTS:
            if hasattr(inner.config, name):
                setattr(inner.config, name, 0.0)
        model = cls(inner).to(device)
        model._check_logits(path)
        return model

    @classmethod
    def from_config(cls, architecture: Mapping[str, Any]) -> LanguageModel:
        """A model whose `architecture` that was, with weights that are to be loaded into it."""
        from transformers import AutoConfig, AutoModelForCausalLM

        with torch.random.fork_rng(devices=[]):
            return cls(AutoModelForCausalLM.from_config(AutoConfig.for_model(**architecture)))

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

        It is made for the tokens of an environment, whatever a checkpoint says of its own: see `create`.

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
        """Be a model of these tokens, whatever it said of its own.

        Args:
            vocab_size: V; the model may have a few more, as many are padded to a round number, or lack the one of
                padding.
            pad_id: of padding, if there is any.
            eos_id: of the token that ends a text, likewise.

        Raises:
            ValueError: when the model's tokens are plainly others.
        """
        if self.num_logits == vocab_size - 1:
            # A tokenizer without a token for padding is given one, as GPT-2's is.
            self.inner.resize_token_embeddings(vocab_size)
        surplus = self.num_logits - vocab_size
        if surplus < 0 or (surplus and self.num_logits % _PADDED_TO) or surplus > _most_padding(vocab_size):
            raise ValueError(
                f"the model has a vocabulary of {self.num_logits} tokens, the tokenizer has {vocab_size}; take the "
                "checkpoint and the tokenizer that belong together"
            )
        self.vocab_size, self.pad_id, self.eos_id = vocab_size, pad_id, eos_id

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint as `transformers` does, as safetensors, so that `load` and others can read it."""
        inner = self.merged().inner
        inner.config.pad_token_id, inner.config.eos_token_id = self.pad_id, self.eos_id
        with _without_bars():
            inner.save_pretrained(str(folder))
        inner.config.pad_token_id = None

    def with_lora(self, rank: int, alpha: int | None = None) -> LanguageModel:
        """The same model with trainable low-rank adapters on all linear layers, everything else frozen.

        Source: Hu et al. 2021. Needs `peft`.

        Args:
            rank: of the adapters.
            alpha: scale times rank; by default twice the rank.
        """
        from peft import LoraConfig, get_peft_model

        fan_in_fan_out = any(type(module).__name__ == "Conv1D" for module in self.inner.modules())
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank if alpha is None else alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            fan_in_fan_out=fan_in_fan_out,
        )
        return self._with_inner(get_peft_model(self.inner, config))

    @property
    def has_adapters(self) -> bool:
        """Whether the model has low-rank adapters, without which it is its own reference."""
        return hasattr(self.inner, "disable_adapter")

    @torch.no_grad()
    def fold_adapters(self) -> None:
        """Add the adapters to the weights they adapt and begin them anew: `without_adapters` it is as it is now."""
        for module in self.inner.modules():
            if hasattr(module, "get_delta_weight"):
                for name in module.active_adapters:
                    module.base_layer.weight.add_(module.get_delta_weight(name))
                    nn.init.zeros_(module.lora_B[name].weight)

    def merged(self) -> LanguageModel:
        """The same model without adapters, which are part of its weights then; itself where it has none."""
        if not self.has_adapters:
            return self
        # Adapters froze what they adapt.
        return self._with_inner(copy.deepcopy(self.inner).merge_and_unload()).requires_grad_(True)

    def _with_inner(self, inner: Any) -> LanguageModel:
        model = LanguageModel(inner, self.vocab_size)
        model.pad_id, model.eos_id = self.pad_id, self.eos_id
        return model

    @contextmanager
    def without_adapters(self) -> Iterator[None]:
        """The model as it was before `with_lora`; only for models that `has_adapters`."""
        with self.inner.disable_adapter():
            yield

    def begin_reference(self) -> LanguageModel | None:
        """What stays as the model is now, for a KL penalty or DPO: a copy that is never trained.

        None for a model with adapters, which are folded: `without_adapters` it is its own reference.
        """
        if self.has_adapters:
            self.fold_adapters()
            return None
        return copy.deepcopy(self).requires_grad_(False)

    @property
    def _bare(self) -> Any:
        return self.inner.get_base_model() if hasattr(self.inner, "get_base_model") else self.inner

    @property
    def backbone(self) -> Any:
        """The model without the layer that gives logits."""
        return self._bare.base_model

    @property
    def architecture(self) -> dict[str, Any]:
        """All but the weights, JSON-ready; see `from_config`."""
        return json.loads(self._bare.config.to_json_string(use_diff=False))

    @property
    def num_logits(self) -> int:
        """Logits that the model gives, V or more."""
        return int(self._bare.get_output_embeddings().weight.shape[0])

    @property
    def num_features(self) -> int:
        """Width of the hidden states, D."""
        return int(self._bare.get_output_embeddings().weight.shape[1])

    @property
    def num_layers(self) -> int:
        """Layers that each keep keys and values."""
        return int(self._bare.config.num_hidden_layers)

    @property
    def max_tokens(self) -> int:
        """Longest text it takes; no limit that it states is a very large number."""
        return int(getattr(self._bare.config, "max_position_embeddings", 2**31 - 1))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def train(self, mode: bool = True) -> LanguageModel:
        """Change nothing: dropout stays off."""
        return super().train(False)

    def hidden(self, ids: Tensor, **cached: Any) -> Tensor:
        """The last layer's hidden states, shape (B, L, D), of token ids (B, L) padded on the right.

        What stands at padding means nothing, and is seen by no token before it.

        Args:
            ids: int64.
            cached: for `prefrl.text.models.decoder`: past_key_values, attention_mask and position_ids.
        """
        output = self.backbone(input_ids=ids, use_cache=bool(cached), **cached)
        return output.last_hidden_state

    def logits(self, hidden: Tensor, temperature: float = 1.0) -> Tensor:
        """Logits (..., V) of hidden states (..., D), float32, over the temperature; padding has none to speak of."""
        logits = self._bare.get_output_embeddings()(hidden).float()[..., : self.vocab_size] / temperature
        if self.pad_id is None:
            return logits
        return logits.index_fill(-1, torch.tensor([self.pad_id], device=logits.device), MASKED_LOGIT)

    @torch.no_grad()
    def _check_logits(self, path: str | Path) -> None:
        """Some architectures scale or cap logits on the way; those are refused instead of trained wrongly."""
        count = min(_SCALE_CHECK_TOKENS, self.max_tokens, self.vocab_size)
        head = self._bare.get_output_embeddings()
        ids = torch.arange(count, device=self.device)[None]
        try:
            whole, ours = self._bare(input_ids=ids).logits, head(self.hidden(ids))
            agree = whole.shape == ours.shape and bool(((whole - ours).abs() < _LOGITS_AGREE).all())
        except (AttributeError, TypeError) as error:
            raise ValueError(f"{path} is of an architecture that is not supported: {error}") from error
        if not agree:
            raise ValueError(
                f"{path} is of an architecture whose logits are no linear function of its hidden states, which is "
                "not supported; take one of the GPT-2, Llama, Qwen or Mistral kind"
            )


def _fuse_activations(inner: nn.Module) -> None:
    """Compute GPT-2's activation as one operation: written out in nine, it takes a third of a small model's time."""
    for module in list(inner.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "NewGELUActivation":
                setattr(module, name, nn.GELU(approximate="tanh"))


def _most_padding(vocab_size: int) -> int:
    """Logits that no token has, at most, of a checkpoint padded for speed: 4% would be generous."""
    return max(_PADDED_BY, vocab_size // 25)


@contextmanager
def _without_bars() -> Iterator[None]:
    """No progress bars of transformers, which are through before anybody has read them."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()
