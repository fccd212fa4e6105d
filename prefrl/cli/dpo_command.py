"""``prefrl dpo``: a policy from rankings, without a reward model."""

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

_DESCRIPTION = """Teach a language model what people prefer, directly from rankings of responses (Rafailov et al.
2023); more than two responses to a prompt are learned from together. Fine-tune it first (`prefrl sft`)."""


@dataclass(frozen=True)
class Options:
    """What to learn from, and how."""

    model: tyro.conf.Positional[str]
    """folder of a run or of a checkpoint, or a checkpoint's name"""
    data: Path
    """file of rankings (HH, TRL or K-wise JSONL)"""
    out: Path
    """new folder for the model"""
    env: str | None = None
    """environment whose tokens the model has, where its folder does not say"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of that environment"""
    odd_rows: OddRows = "strict"
    """of rows of the file that rank nothing, "strict" refuses the file and "skip" leaves them out"""
    criterion: str | None = None
    """by which scores of a K-wise file that has several"""
    skip_long: bool = False
    """leave out rankings with a text that is longer than the model takes, in place of refusing the file"""
    validation_fraction: float = 0.1
    """share of the prompts that nothing is learned of, for the accuracy reported"""
    lora_rank: int | None = None
    """train low-rank adapters of this rank in place of all weights (needs peft)"""
    device: str = "auto"
    """what to compute on: auto (a GPU that CUDA can use, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """let the folder of a run execute code: import modules that its settings name, load an agent pickled by an earlier
    release"""
    dpo: DPOConfig = field(default_factory=DPOConfig)


def main(words: Sequence[str]) -> int:
    """Learn, save, and print what came of it as one line of JSON."""
    options = parse(Options, words, "prefrl dpo", _DESCRIPTION)
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
            f"every ranking to learn from has a text of more tokens than the model takes, {texts.model.max_tokens}; "
            "take another model"
        )
    # Loaded late, so that wrong words are answered at once.
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
    """Rankings that are no ties, to learn from and to hold out."""
    found = read_rankings(options.data, options.odd_rows, options.criterion)
    rankings = [ranking for ranking in found if not ranking.is_tie]
    if not rankings:
        raise ValueError(f"{options.data} holds no ranking but ties, of which nothing can be learned")
    training, validation = split_by_prompt(rankings, options.validation_fraction)
    if not training:
        raise ValueError("all prompts are held out; lower --validation-fraction, or give more of them")
    return training, validation


def _encoded(
    texts: TextModel, rankings: Sequence[Ranking], skip_long: bool
) -> tuple[RankedResponses | None, int]:
    """Token ids of rankings, and how many were left out; None where nothing is left.

    Where the rankings are of different numbers of responses, it is all the pairs that are in them.
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
