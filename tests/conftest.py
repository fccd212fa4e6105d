"""What holds for all tests."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Set before anything imports huggingface_hub: tests with wrong model names must not ask the hub.
os.environ["HF_HUB_OFFLINE"] = "1"

_OURS = re.compile(r"(prefrl|tests|benchmarks)")
_warn = warnings.warn


def _warn_marking_ours(
    message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **kwargs: Any
) -> None:
    """`warnings.warn`, where warnings raised by our own code have the module "raised by NAME" for filters.

    By itself a warning has the module of the caller that ``stacklevel`` names: our own deprecation warnings could not
    be told from those of a library whose function we call.
    """
    raiser = sys._getframe(1).f_globals.get("__name__", "")
    if not _OURS.match(raiser):
        return _warn(message, category, stacklevel + 1, source, **kwargs)
    frame = sys._getframe(max(1, stacklevel))
    return warnings.warn_explicit(
        message,
        type(message) if isinstance(message, Warning) else category or UserWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        f"raised by {raiser}",
        frame.f_globals.setdefault("__warningregistry__", {}),
        source=source,
    )


def pytest_configure() -> None:
    """Mark our own warnings from now on."""
    warnings.warn = _warn_marking_ours


# How long an example takes depends on the machine and on what else runs on it.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GPT-2 as people have it: a byte-pair tokenizer without padding, saved by transformers with its model."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("checkpoint") / "gpt2"
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=[end], initial_alphabet=alphabet)
    inner.train_from_iterator(["Question 1? The answer is 1. No idea."] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end, bos_token=end)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
