"""``prefrl grpo``: train a language model on a reward by group relative policy optimisation."""

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

_DESCRIPTION = """Train a language model by group relative policy optimisation (GRPO, Shao et al. 2024) on the reward of
a text environment, or on a learned reward (--reward). Fine-tune the model first (`prefrl sft`)."""
_LAST_STEPS = 10
"""number of steps that the final reward is averaged over"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl grpo``."""

    model: tyro.conf.Positional[str]
    """run directory, checkpoint folder, or name of a checkpoint on the hub"""
    env: str
    """text environment that draws the prompts, such as prefrl/Reviews-v0"""
    out: Path
    """new folder for the model"""
    env_kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of the environment"""
    reward: Path | None = None
    """folder or run directory of a learned reward; by default the environment's own reward is used"""
    lora_rank: int | None = None
    """train low-rank adapters (LoRA) of this rank instead of all weights (needs peft)"""
    device: str = "auto"
    """device to compute on: auto (a GPU if CUDA can use one, else the CPU), cpu, cuda or cuda:N"""
    trust: bool = False
    """allow a run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)


def main(arguments: Sequence[str]) -> int:
    """Train and save the model, and print the result as one line of JSON."""
    options = parse(Options, arguments, "prefrl grpo", _DESCRIPTION)
    check_new_folder(options.out)
    environment = text_environment(EnvConfig(options.env, options.env_kwargs))
    make_scorer, task = open_reward(environment, options.reward), environment.task
    texts = open_text_model(options.model, task, device=options.device, trust=options.trust)
    rng = np.random.default_rng(options.grpo.seed)

    def draw_prompts(count: int) -> list[list[int]]:
        return texts.encode_prompts([task.prompt(rng) for _ in range(count)], task.max_new_tokens)

    draw_prompts(1)
    score = make_scorer(texts, _max_text_tokens(texts, task))
    # Imported late, so that wrong options are reported immediately.
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


def _max_text_tokens(texts: TextModel, task: TextTask) -> int:
    """Tokens of the longest text that the task allows; raises ValueError when the model takes fewer."""
    longest = task.max_prompt_tokens + task.max_new_tokens
    if longest > texts.model.max_tokens:
        raise ValueError(
            f"prompts have up to {task.max_prompt_tokens} tokens and responses up to {task.max_new_tokens}; the model "
            f"takes {texts.model.max_tokens} in all, use another model or make the environment's texts shorter"
        )
    return longest
