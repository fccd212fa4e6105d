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

from prefrl.cli.new_folder import check_new_folder
from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.text_data import check_validation_fraction, read_rankings, within_room
from prefrl.cli.text_models import TextModel, named_environment, open_text_model
from prefrl.config import FineTuningConfig, JsonDict
from prefrl.text.rankings import OddRows, split_by_prompt
from prefrl_envs.text import TextTask

if TYPE_CHECKING:
    from prefrl_agents.text import Sequences

__all__ = ["main"]

_DESCRIPTION = """Fine-tune a language model on demonstrations: those of a task (--env), or the best response of each
ranking in a file (--data). Only responses are learned, prompts are given. The result is a folder that prefrl and
transformers read."""

_Texts = list[tuple[str, str]]
"""prompts, each with its response"""


@dataclass(frozen=True)
class Options:
    """What to learn from, and how."""

    out: tyro.conf.Positional[Path]
    """new folder for the model"""
    model: str = "tiny"
    """to begin with: a size (tiny, small, medium, large), made anew, or a checkpoint's folder or name"""
    env: str | None = None
    """environment of texts whose task has demonstrations, such as prefrl/Reviews-v0"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of that environment"""
    data: Path | None = None
    """file of rankings (HH, TRL or K-wise JSONL); with --env, its tokens"""
    odd_rows: OddRows = "strict"
    """of rows of the file that rank nothing, "strict" refuses the file and "skip" leaves them out"""
    criterion: str | None = None
    """by which scores of a K-wise file that has several"""
    skip_long: bool = False
    """leave out texts that are longer than the model takes, in place of refusing them"""
    validation_fraction: float = 0.1
    """share that nothing is learned of, for the loss reported: of the prompts of a file, or of a task's demonstrations,
    where the same prompt may be on both sides"""
    seed: int = 0
    """of fresh weights, demonstrations and their order"""
    device: str = "auto"
    """what to compute on: auto (a GPU that CUDA can use, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """let the folder of a run execute code: import modules that its settings name, load an agent pickled by an earlier
    release"""
    tuning: FineTuningConfig = field(default_factory=FineTuningConfig)


def main(words: Sequence[str]) -> int:
    """Fine-tune, save, and print the losses as one line of JSON."""
    options = parse(Options, words, "prefrl sft", _DESCRIPTION)
    check_new_folder(options.out)
    if options.env is None and options.data is None:
        raise ValueError("there is nothing to learn from; name a task by --env or a file by --data")
    check_validation_fraction(options.validation_fraction)
    texts, (training, validation), left_out = _read(options)
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
        "left_out": left_out,
        "tokens": training.num_response_tokens,
        "epochs": options.tuning.epochs,
        "loss_train": losses[-1],
        "loss_validation": mean_loss(texts.model, validation) if len(validation) else None,
        "training_s": round(time.monotonic() - start_s, 3),
    }
    print(json.dumps(result))
    return 0


def _read(options: Options) -> tuple[TextModel, tuple[Sequences, Sequences], int]:
    """The model, demonstrations to learn from and to hold out, and how many were left out of both."""
    environment = named_environment(options.env, options.env_kwargs)
    task = None if environment is None else environment.task
    sides = _of_task(options, task) if options.data is None else _of_file(options, options.data)
    if not sides[0]:
        raise ValueError("all demonstrations are held out; lower --validation-fraction or give more of them")
    texts = open_text_model(options.model, task, options.seed, options.device, options.trust)
    training, validation = (_encoded(texts, side, options.skip_long) for side in sides)
    if not len(training):
        raise ValueError(
            f"every demonstration to learn from has more tokens than the model takes, {texts.model.max_tokens}; take "
            "another model"
        )
    left_out = sum(map(len, sides)) - len(training) - len(validation)
    return texts, (training, validation), left_out


def _of_file(options: Options, data: Path) -> tuple[_Texts, _Texts]:
    rankings = read_rankings(data, options.odd_rows, options.criterion)
    training, validation = (
        [(each.prompt, each.responses[int(np.argmin(each.ranks))]) for each in side]
        for side in split_by_prompt(rankings, options.validation_fraction)
    )
    return training, validation


def _of_task(options: Options, task: TextTask | None) -> tuple[_Texts, _Texts]:
    assert task is not None
    rng = np.random.default_rng(options.seed)
    drawn = [task.demonstration(rng) for _ in range(options.tuning.demonstrations)]
    held_out = round(options.validation_fraction * len(drawn))
    return drawn[held_out:], drawn[:held_out]


def _encoded(texts: TextModel, pairs: _Texts, skip_long: bool) -> Sequences:
    from prefrl_agents.text import Sequences

    prompts = [texts.encode_prompt(prompt) for prompt, _ in pairs]
    responses = [texts.encode_response(response) for _, response in pairs]
    lengths = [len(prompt) + len(response) for prompt, response in zip(prompts, responses, strict=True)]
    kept = within_room(lengths, texts.model.max_tokens, skip_long)
    return Sequences.of(
        [prompts[number] for number in kept], [responses[number] for number in kept], texts.tokenizer.pad_id
    )
