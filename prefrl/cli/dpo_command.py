"""``prefrl dpo``: train a language model on rankings, without a reward model."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from prefrl.cli.new_folder import check_new_folder
from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.text_data import check_validation_fraction, encode_rankings, read_rankings
from prefrl.cli.text_models import TextModel, named_environment, open_text_model
from prefrl.config import DPOConfig, JsonDict
from prefrl.text.rankings import OddRows, Ranking, split_by_prompt

if TYPE_CHECKING:
    from prefrl_agents.text import RankedResponses

__all__ = ["main"]

_DESCRIPTION = """Train a language model directly on rankings of responses (DPO, Rafailov et al. 2023). Rankings of more
than two responses use the loss for whole rankings. Fine-tune the model first (`prefrl sft`)."""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl dpo``."""

    model: tyro.conf.Positional[str]
    """run directory, checkpoint folder, or name of a checkpoint on the hub"""
    data: Path
    """file of rankings (HH, TRL or K-wise JSONL)"""
    out: Path
    """new folder for the model"""
    env: str | None = None
    """environment whose tokenizer the model uses, if its folder has none"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of that environment"""
    odd_rows: OddRows = "strict"
    """rows of the file that rank nothing: "strict" refuses the file, "skip" leaves them out"""
    criterion: str | None = None
    """which scores to use, in a K-wise file that has several"""
    skip_long: bool = False
    """leave out rankings with a text that is too long for the model, instead of refusing the file"""
    validation_fraction: float = 0.1
    """share of the prompts held out of training to report the accuracy"""
    lora_rank: int | None = None
    """train low-rank adapters (LoRA) of this rank instead of all weights (needs peft)"""
    device: str = "auto"
    """device to compute on: auto (a GPU if CUDA can use one, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """allow a run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""
    dpo: DPOConfig = field(default_factory=DPOConfig)


def main(arguments: Sequence[str]) -> int:
    """Train and save the model, and print the result as one line of JSON."""
    options = parse(Options, arguments, "prefrl dpo", _DESCRIPTION)
    check_new_folder(options.out)
    check_validation_fraction(options.validation_fraction)
    training, validation = _read(options)
    environment = named_environment(options.env, options.env_kwargs)
    task = None if environment is None else environment.task
    texts = open_text_model(options.model, task, device=options.device, trust=options.trust)
    (learned, too_long), (held_out, held_out_too_long) = (
        _encoded(texts, side, options.skip_long) for side in (training, validation)
    )
    if learned is None:
        raise ValueError(
            f"every ranking to train on has a text of more tokens than the model takes, {texts.model.max_tokens}; "
            "use another model"
        )
    # Imported late, so that wrong options are reported immediately.
    from prefrl_agents.text import DPO

    if options.lora_rank is not None:
        texts = TextModel(texts.model.with_lora(options.lora_rank), texts.tokenizer)
    start_s, dpo = time.monotonic(), DPO(texts.model, options.dpo)
    with progress(dpo.num_steps(learned), "minibatches") as on_step:
        steps = itertools.count(1)
        reports = dpo.train(learned, lambda _report: on_step(next(steps)))
    texts.save(options.out)
    result = {
        "out": str(options.out),
        "rankings": len(training) - too_long,
        "left_out": too_long + held_out_too_long,
        "epochs": options.dpo.epochs,
        "train": asdict(reports[-1]),
        "validation": None if held_out is None else asdict(dpo.evaluate(held_out)),
        "training_s": round(time.monotonic() - start_s, 3),
    }
    print(json.dumps(result))
    return 0


def _read(options: Options) -> tuple[list[Ranking], list[Ranking]]:
    """Rankings other than ties, split into training and validation."""
    found = read_rankings(options.data, options.odd_rows, options.criterion)
    rankings = [ranking for ranking in found if not ranking.is_tie]
    if not rankings:
        raise ValueError(f"{options.data} holds only ties, and nothing can be learned from them")
    training, validation = split_by_prompt(rankings, options.validation_fraction)
    if not training:
        raise ValueError("all prompts are held out; lower --validation-fraction, or give more prompts")
    return training, validation


def _encoded(
    texts: TextModel, rankings: Sequence[Ranking], skip_long: bool
) -> tuple[RankedResponses | None, int]:
    """Token ids of the rankings, and how many were left out; None if no ranking is left.

    If the rankings differ in their number of responses, each ranking is split into all its pairs.
    """
    from prefrl_agents.text import RankedResponses

    if not rankings:
        return None, 0
    tokens, left_out = encode_rankings(rankings, texts.tokenizer, texts.model.max_tokens, skip_long)
    ranks: list[tuple[int, ...]] = [each.ranks for each in tokens.rankings]
    prompts, groups = tokens.prompts, tokens.responses
    if not ranks:
        return None, left_out
    if len(set(map(len, ranks))) > 1:
        pairs = [
            (row, first, second)
            for row, given in enumerate(ranks)
            for first, second in itertools.combinations(range(len(given)), 2)
            if given[first] != given[second]
        ]
        prompts = [prompts[row] for row, _, _ in pairs]
        groups = [[groups[row][first], groups[row][second]] for row, first, second in pairs]
        ranks = [(ranks[row][first], ranks[row][second]) for row, first, second in pairs]
    return RankedResponses.of(prompts, groups, ranks, texts.tokenizer.pad_id), left_out
