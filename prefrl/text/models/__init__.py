"""Causal language models: loading, saving, and decoding with a cache of keys and values.

Only `prefrl.text.models.adapter` speaks to transformers and peft, and imports them only when a model is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrl.text.models.decoder import RowDecoder
    from prefrl.text.models.generation import Generation, generate
    from prefrl.text.models.model import SIZES, LanguageModel
    from prefrl.text.models.shared_prompts import deduplicate_prefixes, response_hidden

__all__ = [
    "SIZES",
    "Generation",
    "LanguageModel",
    "RowDecoder",
    "deduplicate_prefixes",
    "generate",
    "response_hidden",
]

_MODULES = {
    "Generation": "generation",
    "LanguageModel": "model",
    "RowDecoder": "decoder",
    "SIZES": "model",
    "deduplicate_prefixes": "shared_prompts",
    "generate": "generation",
    "response_hidden": "shared_prompts",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
