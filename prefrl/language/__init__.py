"""Causal language models: loading and saving them, and decoding with a cache of keys and values.

The only package that imports transformers, and nothing here does so before a model is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrl.language.decoder import RowDecoder
    from prefrl.language.generation import Generation, generate
    from prefrl.language.hub_tokenizer import HubTokenizer
    from prefrl.language.model import SIZES, LanguageModel, check_vocabulary

__all__ = [
    "SIZES",
    "Generation",
    "HubTokenizer",
    "LanguageModel",
    "RowDecoder",
    "check_vocabulary",
    "generate",
]

_MODULES = {
    "Generation": "generation",
    "HubTokenizer": "hub_tokenizer",
    "LanguageModel": "model",
    "RowDecoder": "decoder",
    "SIZES": "model",
    "check_vocabulary": "model",
    "generate": "generation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
