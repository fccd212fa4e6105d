"""``prefrl grpo``: a language model against a reward, each response judged by others to the same prompt."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import tyro

from prefrl.cli.new_folder import check_new_folder
from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.text_models import TextModel, open_text_model, text_environment
from prefrl.cli.text_rewards import open_reward
from prefrl.config import EnvConfig, GRPOConfig, JsonDict
from prefrl_envs.text import TextTask

__all__ = ["main"]

_DESCRIPTION = """Train a language model by group relative policy optimisation (Shao et al. 2024) on the reward of an
environment of texts, or on a learned one (--reward). Fine-tune it first (`prefrl sft`)."""
_LAST_STEPS = 10
"""of the rewards printed, the mean"""


@dataclass(frozen=True)
class Options:
    """Which model, on what, and how."""

    model: tyro.conf.Positional[str]
    """folder of a run or of a checkpoint, or a checkpoint's name"""
    env: str
    """environment of texts that draws the prompts, such as prefrl/Reviews-v0"""
    out: Path
    """new folder for the model"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of the environment"""
    reward: Path | None = None
    """run directory or folder of a learned reward; by default the environment's own reward is followed"""
    lora_rank: int | None = None
    """train low-rank adapters of this rank in place of all weights (needs peft)"""
    device: str = "auto"
    """what to compute on: auto (a GPU that CUDA can use, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """let the folder of a run execute code: import modules that its settings name, load an agent pickled by an earlier
    release"""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)


def main(words: Sequence[str]) -> int:
    """Learn, save, and print what came of it as one line of JSON."""
    options = parse(Options, words, "prefrl grpo", _DESCRIPTION)
    check_new_folder(options.out)
    environment = text_environment(EnvConfig(options.env, options.env_kwargs))
    make_scorer, task = open_reward(environment, options.reward), environment.task
    texts = open_text_model(options.model, task, device=options.device, trust=options.trust)
    rng = np.random.default_rng(options.grpo.seed)

    def draw_prompts(count: int) -> list[list[int]]:
        return texts.encode_prompts([task.prompt(rng) for _ in range(count)], task.max_new_tokens)

    draw_prompts(1)
    score = make_scorer(texts, _longest(texts, task))
    # Loaded late, so that wrong words are answered at once.
    from prefrl_agents.text import GRPO

    if options.lora_rank is not None:
        texts = TextModel(texts.model.with_lora(options.lora_rank), texts.tokenizer)
    start_s, grpo = time.monotonic(), GRPO(texts.model, options.grpo, task.max_new_tokens)
    with progress(options.grpo.steps, "steps") as on_step:
        reports = grpo.train(draw_prompts, score, lambda report: on_step(report.step))
    texts.save(options.out)
    training_s = time.monotonic() - start_s
    responses = options.grpo.prompts * options.grpo.group_size
    tokens = sum(report.response_tokens * responses for report in reports)
    result = {
        "out": str(options.out),
        "steps": options.grpo.steps,
        "tokens": round(tokens),
        "reward_first": reports[0].reward,
        "reward_last": float(np.mean([report.reward for report in reports[-_LAST_STEPS:]])),
        "last": asdict(reports[-1]),
        "training_s": round(training_s, 3),
        "tokens_per_s": round(tokens / training_s, 1),
    }
    print(json.dumps(result))
    return 0


def _longest(texts: TextModel, task: TextTask) -> int:
    """Tokens of the longest text there can be, drawn late, maybe; ValueError when the model takes fewer."""
    longest = task.max_prompt_tokens + task.max_new_tokens
    if longest > texts.model.max_tokens:
        raise ValueError(
            f"prompts have up to {task.max_prompt_tokens} tokens and responses up to {task.max_new_tokens}; the model "
            f"takes {texts.model.max_tokens} in all, take another model or make the environment's texts shorter"
        )
    return longest
