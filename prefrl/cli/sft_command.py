"""``prefrl sft``: fine-tune a language model on demonstrations."""

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
ranking in a file (--data). The loss is on responses only, not on prompts. The result is a folder that prefrl and
transformers can read."""

_Texts = list[tuple[str, str]]
"""pairs of prompt and response"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl sft``."""

    out: tyro.conf.Positional[Path]
    """new folder for the model"""
    model: str = "tiny"
    """model to start from: size of a new model (tiny, small, medium, large), or a checkpoint's folder or hub name"""
    env: str | None = None
    """text environment whose task has demonstrations, such as prefrl/Reviews-v0"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of that environment"""
    data: Path | None = None
    """file of rankings (HH, TRL or K-wise JSONL); with --env, tokenized by that environment's tokenizer"""
    odd_rows: OddRows = "strict"
    """rows of the file that rank nothing: "strict" refuses the file, "skip" leaves them out"""
    criterion: str | None = None
    """which scores to use, in a K-wise file that has several"""
    skip_long: bool = False
    """leave out texts that are too long for the model, instead of refusing them"""
    validation_fraction: float = 0.1
    """share held out of training to report the loss: of the prompts of a file, or of a task's demonstrations, where the
    same prompt may be on both sides"""
    seed: int = 0
    """random seed of new weights, demonstrations and their order"""
    device: str = "auto"
    """device to compute on: auto (a GPU if CUDA can use one, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """allow a run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""
    tuning: FineTuningConfig = field(default_factory=FineTuningConfig)


def main(arguments: Sequence[str]) -> int:
    """Fine-tune and save the model, and print the losses as one line of JSON."""
    options = parse(Options, arguments, "prefrl sft", _DESCRIPTION)
    check_new_folder(options.out)
    if options.env is None and options.data is None:
        raise ValueError("there is nothing to learn from; give a task by --env or a file by --data")
    check_validation_fraction(options.validation_fraction)
    texts, (training, validation), left_out = _read(options)
    # Imported late, so that wrong options are reported immediately.
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
    """The model, demonstrations for training and for validation, and how many were left out of both."""
    environment = named_environment(options.env, options.env_kwargs)
    task = None if environment is None else environment.task
    sides = _draw_demonstrations(options, task) if options.data is None else _read_file(options, options.data)
    if not sides[0]:
        raise ValueError(
            "all demonstrations are held out; lower --validation-fraction or give more demonstrations"
        )
    texts = open_text_model(options.model, task, options.seed, options.device, options.trust)
    training, validation = (_encoded(texts, side, options.skip_long) for side in sides)
    if not len(training):
        raise ValueError(
            f"every demonstration to train on has more tokens than the model takes, {texts.model.max_tokens}; use "
            "another model"
        )
    left_out = sum(map(len, sides)) - len(training) - len(validation)
    return texts, (training, validation), left_out


def _read_file(options: Options, data: Path) -> tuple[_Texts, _Texts]:
    rankings = read_rankings(data, options.odd_rows, options.criterion)
    training, validation = (
        [(each.prompt, each.responses[int(np.argmin(each.ranks))]) for each in side]
        for side in split_by_prompt(rankings, options.validation_fraction)
    )
    return training, validation


def _draw_demonstrations(options: Options, task: TextTask | None) -> tuple[_Texts, _Texts]:
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
