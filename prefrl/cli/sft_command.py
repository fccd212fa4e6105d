"""``prefrl sft``: supervised fine-tuning of a language model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.text_models import TextModel, check_new_folder, open_text_model, text_task
from prefrl.config import EnvConfig
from prefrl.rankings import load_rankings, split_by_prompt
from prefrl.text_config import FineTuningConfig

if TYPE_CHECKING:
    from prefrl_agents.text import Sequences

__all__ = ["main"]

_DESCRIPTION = """Fine-tune a language model on demonstrations: those of a task (--env), or the best response of each
ranking in a file (--data). Only responses are learned, prompts are given. The result is a folder that prefrl and
transformers read."""


@dataclass(frozen=True)
class Options:
    """What to learn from, and how."""

    out: tyro.conf.Positional[Path]
    """new folder for the model"""
    model: str = "tiny"
    """to begin with: a size (tiny, small, medium, large), made anew, or a checkpoint's folder or name"""
    env: str | None = None
    """environment of texts whose task has demonstrations, such as prefrl/Reviews-v0"""
    data: Path | None = None
    """file of rankings (HH, TRL or K-wise JSONL); with --env, its tokens"""
    validation_fraction: float = 0.1
    """share of the prompts that nothing is learned of, for the loss reported"""
    seed: int = 0
    """of fresh weights, demonstrations and their order"""
    tuning: FineTuningConfig = field(default_factory=FineTuningConfig)


def main(words: Sequence[str]) -> int:
    """Fine-tune, save, and print the losses as one line of JSON."""
    options = parse(Options, words, "prefrl sft", _DESCRIPTION)
    check_new_folder(options.out)
    if options.env is None and options.data is None:
        raise ValueError("there is nothing to learn from; name a task by --env or a file by --data")
    if not 0 <= options.validation_fraction < 1:
        raise ValueError(
            f"--validation-fraction is {options.validation_fraction}; a share of at least 0 and below 1 is needed"
        )
    texts, training, validation = _read(options)
    # Loaded late, so that wrong words are answered at once.
    from prefrl_agents.text import fine_tune, mean_loss

    start_s = time.monotonic()
    with progress(options.tuning.epochs, "epochs") as on_epoch:
        losses = fine_tune(
            texts.model, training, options.tuning, options.seed, lambda epoch, _loss: on_epoch(epoch)
        )
    texts.save(options.out)
    result = {
        "out": str(options.out),
        "demonstrations": len(training),
        "tokens": training.num_response_tokens,
        "epochs": options.tuning.epochs,
        "loss_train": losses[-1],
        "loss_validation": mean_loss(texts.model, validation) if len(validation) else None,
        "training_s": round(time.monotonic() - start_s, 3),
    }
    print(json.dumps(result))
    return 0


def _read(options: Options) -> tuple[TextModel, Sequences, Sequences]:
    """The model, and demonstrations to learn from and to hold out."""
    task = None if options.env is None else text_task(EnvConfig(options.env))
    texts = open_text_model(options.model, task, options.seed)
    if options.data is not None:
        rankings = load_rankings(options.data)
        sides = split_by_prompt(rankings, options.validation_fraction)
        pairs = [
            [(each.prompt, each.responses[int(np.argmin(each.ranks))]) for each in side] for side in sides
        ]
    else:
        assert task is not None
        rng = np.random.default_rng(options.seed)
        drawn = [task.demonstration(rng) for _ in range(options.tuning.demonstrations)]
        held_out = round(options.validation_fraction * len(drawn))
        pairs = [drawn[held_out:], drawn[:held_out]]
    if not pairs[0]:
        raise ValueError("all demonstrations are held out; lower --validation-fraction or give more of them")
    training, validation = (_encoded(texts, side) for side in pairs)
    return texts, training, validation


def _encoded(texts: TextModel, pairs: Sequence[tuple[str, str]]) -> Sequences:
    from prefrl_agents.text import Sequences

    prompts = texts.encode_prompts([prompt for prompt, _ in pairs], max_new_tokens=1)
    responses = [texts.encode_response(response) for _, response in pairs]
    for (prompt, _), ids, response_ids in zip(pairs, prompts, responses, strict=True):
        if len(ids) + len(response_ids) > texts.model.max_tokens:
            raise ValueError(
                f"prompt {prompt[:60]!r} and its response have {len(ids) + len(response_ids)} tokens; the model takes "
                f"{texts.model.max_tokens}, leave such texts out or take another model"
            )
    return Sequences.of(prompts, responses, texts.tokenizer.pad_id)
