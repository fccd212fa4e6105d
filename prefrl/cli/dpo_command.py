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

from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.text_models import TextModel, check_new_folder, open_text_model, text_task
from prefrl.config import EnvConfig
from prefrl.rankings import Ranking, load_rankings, split_by_prompt
from prefrl.text_config import DPOConfig

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
    validation_fraction: float = 0.1
    """share of the prompts that nothing is learned of, for the accuracy reported"""
    lora_rank: int | None = None
    """train low-rank adapters of this rank in place of all weights (needs peft)"""
    dpo: DPOConfig = field(default_factory=DPOConfig)


def main(words: Sequence[str]) -> int:
    """Learn, save, and print what came of it as one line of JSON."""
    options = parse(Options, words, "prefrl dpo", _DESCRIPTION)
    check_new_folder(options.out)
    if not 0 <= options.validation_fraction < 1:
        raise ValueError(
            f"--validation-fraction is {options.validation_fraction}; a share of at least 0 and below 1 is needed"
        )
    rankings = [ranking for ranking in load_rankings(options.data) if not ranking.is_tie]
    if not rankings:
        raise ValueError(f"{options.data} holds no ranking but ties, of which nothing can be learned")
    training, validation = split_by_prompt(rankings, options.validation_fraction)
    if not training:
        raise ValueError("all prompts are held out; lower --validation-fraction, or give more of them")
    texts = open_text_model(options.model, None if options.env is None else text_task(EnvConfig(options.env)))
    learned, held_out = (
        encode_rankings(texts, training),
        encode_rankings(texts, validation) if validation else None,
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
        "rankings": len(training),
        "epochs": options.dpo.epochs,
        "train": asdict(reports[-1]),
        "validation": None if held_out is None else asdict(dpo.evaluate(held_out)),
        "training_s": round(time.monotonic() - start_s, 3),
    }
    print(json.dumps(result))
    return 0


def encode_rankings(texts: TextModel, rankings: Sequence[Ranking]) -> RankedResponses:
    """Token ids of rankings; where they are of different numbers of responses, of all the pairs that are in them.

    Raises:
        ValueError: when a text has a part without a token, or is too long for the model.
    """
    from prefrl_agents.text import RankedResponses

    items = [(each.prompt, each.responses, each.ranks) for each in rankings]
    if len({len(each.responses) for each in rankings}) > 1:
        items = [(each.prompt, tuple(pair), (1, 2)) for each in rankings for pair in each.pairs()]
    prompts = texts.encode_prompts([prompt for prompt, _, _ in items], max_new_tokens=1)
    responses = [[texts.encode_response(response) for response in group] for _, group, _ in items]
    longest = max(
        len(prompt) + len(response)
        for prompt, group in zip(prompts, responses, strict=True)
        for response in group
    )
    if longest > texts.model.max_tokens:
        raise ValueError(
            f"a prompt and its response have {longest} tokens; the model takes {texts.model.max_tokens}, leave such "
            "texts out or take another model"
        )
    return RankedResponses.of(prompts, responses, [ranks for _, _, ranks in items], texts.tokenizer.pad_id)
