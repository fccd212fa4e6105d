"""The one module that speaks to `transformers` and `peft`, the libraries of Hugging Face.

Everything else about language models is written against these functions, so that a release of theirs is answered here.
They work with transformers 5.0 and later versions of 5, and with peft 0.18 and later: the name of the argument for
cached keys and values ("past_key_values" until 5.23, "cache" since) is read off the model's own signature.

Models are ``Any`` here: their classes differ by architecture. Nothing is imported before it is needed.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from prefrl_envs.text.hub_tokenizer import is_local_source

__all__ = [
    "KeyValueCache",
    "add_lora",
    "backbone_of",
    "build_from_config",
    "build_gpt2",
    "config_of",
    "describe",
    "fold_lora",
    "fuse_activations",
    "has_lora",
    "hidden_states",
    "load_checkpoint",
    "merge_lora",
    "output_layer",
    "resize_vocabulary",
    "save_checkpoint",
    "whole_logits",
    "without_lora",
]

_DROPOUTS = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout", "dropout")
"""names of dropout rates in the configurations of the supported architectures"""
_CACHE_ARGUMENTS = ("cache", "past_key_values")
"""names of the argument for cached keys and values, the newest first"""


class KeyValueCache(Protocol):
    """Keys and values of earlier tokens, as `hidden_states` uses them."""

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store a layer's new keys and values (B, H, Q, d); return all that the new tokens attend to (B, H, K, d)."""

    def num_visible(self, num_new: int) -> int:
        """K, the number of places that ``num_new`` new tokens attend to, themselves included."""


# Loading, building and saving


def build_gpt2(
    vocab_size: int,
    max_tokens: int,
    width: int,
    layers: int,
    heads: int,
    pad_id: int | None,
    eos_id: int | None,
) -> Any:
    """A GPT-2 without dropout; its weights are drawn from the global random state."""
    from transformers import GPT2Config, GPT2LMHeadModel

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
    return GPT2LMHeadModel(config)


def build_from_config(description: Mapping[str, Any]) -> Any:
    """A model of the architecture that `describe` returned; its weights are drawn from the global random state."""
    from transformers import AutoConfig, AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**description))


def load_checkpoint(source: str | Path) -> Any:
    """The causal language model in a local folder, or of a name on the Hugging Face hub, in float32 without dropout.

    Only safetensors are read. The hub is asked only for what cannot be a path on this machine: see
    `prefrl_envs.text.hub_tokenizer.is_local_source`.

    Raises:
        OSError, ValueError, KeyError, RuntimeError: when there is none, or it is no causal language model.
    """
    is_local = is_local_source(source)
    if is_local and not Path(source).is_dir():
        raise FileNotFoundError("there is no such folder")
    from transformers import AutoModelForCausalLM

    with _without_progress_bars():
        model = AutoModelForCausalLM.from_pretrained(
            str(source), dtype=torch.float32, use_safetensors=True, local_files_only=is_local
        )
    for name in _DROPOUTS:
        if hasattr(model.config, name):
            setattr(model.config, name, 0.0)
    return model


def save_checkpoint(model: Any, folder: str | Path, pad_id: int | None, eos_id: int | None) -> None:
    """Write a model without adapters as a checkpoint (safetensors) that names these special tokens."""
    config = model.config
    config.pad_token_id, config.eos_token_id = pad_id, eos_id
    with _without_progress_bars():
        model.save_pretrained(str(folder))
    config.pad_token_id = None


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Progress bars of transformers off: local loading is over before anybody can read them."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


# Parts of a model


def config_of(model: Any) -> Any:
    """The configuration of transformers, whether the model has adapters or not."""
    return _without_peft(model).config


def describe(model: Any) -> dict[str, Any]:
    """All that makes the architecture, JSON-ready; see `build_from_config`."""
    description: dict[str, Any] = json.loads(config_of(model).to_json_string(use_diff=False))
    return description


def backbone_of(model: Any) -> Any:
    """The model without the layer that computes logits."""
    return _without_peft(model).base_model


def output_layer(model: Any) -> Any:
    """The linear layer that computes logits."""
    return _without_peft(model).get_output_embeddings()


def resize_vocabulary(model: Any, vocab_size: int) -> None:
    """Change the number of tokens; a new token's weights are drawn from the global random state."""
    model.resize_token_embeddings(vocab_size)


def fuse_activations(model: nn.Module) -> None:
    """Compute GPT-2's activation in one operation instead of nine, a third of a small model's time."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "NewGELUActivation":
                setattr(module, name, nn.GELU(approximate="tanh"))


def _without_peft(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


# Forward passes


def whole_logits(model: Any, ids: Tensor) -> Tensor:
    """Logits (B, L, V) as the model itself computes them of token ids (B, L)."""
    return _without_peft(model)(input_ids=ids).logits


def hidden_states(
    backbone: Any,
    ids: Tensor,
    *,
    cache: KeyValueCache | None = None,
    visible: Tensor | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """The last layer's hidden states, shape (B, Q, D).

    Args:
        backbone: see `backbone_of`.
        ids: shape (B, Q) int64, the new tokens.
        cache: holds earlier tokens and takes in the new ones; without one, the texts begin with ``ids``.
        visible: shape (B, Q, K) or (1, Q, K) bool, the places that each new token attends to; by default itself and all
            new tokens before it.
        positions: shape (B, Q) int64, of the new tokens in their texts; by default from 0.

    Raises:
        ValueError: when the model takes no cache of keys and values.
    """
    arguments: dict[str, Any] = {"use_cache": cache is not None}
    if cache is not None:
        arguments[_cache_argument(type(backbone).forward)] = _wrap_cache(
            cache, int(backbone.config.num_hidden_layers)
        )
    if visible is not None:
        arguments["attention_mask"] = _additive_mask(visible).expand(len(ids), -1, -1, -1)
    if positions is not None:
        arguments["position_ids"] = positions
    return backbone(input_ids=ids, **arguments).last_hidden_state


def _additive_mask(visible: Tensor) -> Tensor:
    """What is added to attention scores, shape (B, 1, Q, K): the one form that all attention kernels take."""
    mask = torch.zeros(visible.shape, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)[:, None]


@functools.cache
def _cache_argument(forward: Callable[..., Any]) -> str:
    """The name under which a model's forward function takes cached keys and values."""
    parameters = inspect.signature(forward).parameters
    for name in _CACHE_ARGUMENTS:
        if name in parameters:
            return name
    raise ValueError(
        f"{forward.__qualname__} takes no cache of keys and values (only {list(parameters)}), which is not "
        "supported; take a model of the GPT-2, Llama, Qwen or Mistral kind"
    )


def _wrap_cache(cache: KeyValueCache, num_layers: int) -> Any:
    """``cache`` as the class that the models expect."""
    make_cache, make_layer = _cache_classes()
    return make_cache(layers=[make_layer(cache, index) for index in range(num_layers)])


@functools.cache
def _cache_classes() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from transformers.cache_utils import Cache, CacheLayerMixin

    class Layer(CacheLayerMixin):
        """One layer's part of a `KeyValueCache`."""

        def __init__(self, cache: KeyValueCache, index: int) -> None:
            super().__init__()
            self.cache, self.index, self.is_initialized = cache, index, True

        def lazy_initialization(self, *tensors: Tensor) -> None:
            """Nothing: the cache takes its memory itself."""

        def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
            return self.cache.update(self.index, keys, values)

        def get_mask_sizes(self, new: int | Tensor) -> tuple[int, int]:
            # The number of new tokens; their positions in early versions of 5.
            return self.cache.num_visible(new if isinstance(new, int) else len(new)), 0

        def get_seq_length(self) -> int:
            # Only asked for to derive positions and masks, which are given wherever tokens came before.
            return 0

        def get_max_length(self) -> int:
            return -1

        # The same under its name in early versions of 5.
        get_max_cache_shape = get_max_length

    return Cache, Layer


# Low-rank adapters


def add_lora(model: Any, rank: int, alpha: int) -> Any:
    """The model with trainable low-rank adapters on all its linear layers, everything else frozen."""
    from peft import LoraConfig, get_peft_model

    # GPT-2's linear layers keep their weights transposed.
    is_transposed = any(type(module).__name__ == "Conv1D" for module in model.modules())
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        fan_in_fan_out=is_transposed,
    )
    return get_peft_model(model, config)


def has_lora(model: Any) -> bool:
    """Whether the model comes from `add_lora`."""
    return hasattr(model, "disable_adapter")


def without_lora(model: Any) -> AbstractContextManager[None]:
    """A context in which the adapters have no effect."""
    context: AbstractContextManager[None] = model.disable_adapter()
    return context


@torch.no_grad()
def fold_lora(model: Any) -> None:
    """Add the adapters to the weights they adapt, and set their effect to zero."""
    for module in model.modules():
        if hasattr(module, "get_delta_weight"):
            for name in module.active_adapters:
                module.base_layer.weight.add_(module.get_delta_weight(name))
                nn.init.zeros_(module.lora_B[name].weight)


def merge_lora(model: Any) -> Any:
    """A copy without adapters, which are part of its weights; all of it can be trained."""
    merged = copy.deepcopy(model).merge_and_unload()
    # peft up to 0.18 leaves its settings behind, and would warn of them when the model gets adapters again.
    vars(merged).pop("peft_config", None)
    # The adapters had frozen the other weights.
    return merged.requires_grad_(True)
