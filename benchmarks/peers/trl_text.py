"""TRL's GRPO and DPO on the task of benchmarks/suites/text_speed/job.py; the result is the last line, as JSON.

Runs in a separate virtual environment and imports nothing of prefrl: the model is read from a folder, and the data are
drawn as in that job. The first step is not timed. Defaults of TRL that cost time without being part of the work are
off: dropout, gradient checkpointing, reports and progress bars.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from importlib import metadata
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

WORDS, PROMPT_TOKENS, NEW_TOKENS = 62, 64, 48
PROMPTS, GROUP, WANTED = 4, 8, 7
LEARNING_RATE = 3e-4
PACKAGES = ("torch", "trl", "transformers", "numpy")


class Timer(TrainerCallback):
    """Time since the end of the first step, and the logged metrics."""

    def __init__(self) -> None:
        self.start_s = 0.0
        self.logs: list[dict[str, Any]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock after the first step."""
        if state.global_step == 1:
            self.start_s = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Keep the metrics of a step."""
        self.logs.append(dict(logs or {}))


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A token per word, then padding and end of text: the same ids as prefrl's."""
    vocabulary = {f"w{number}": number for number in range(WORDS)} | {"<pad>": WORDS, "<eos>": WORDS + 1}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>")


def text(ids: Any) -> str:
    """Token ids as words."""
    return " ".join(f"w{number}" for number in ids)


def wanted_share(response: str) -> float:
    """Share of wanted words."""
    ids = [int(word[1:]) for word in response.split() if word.startswith("w")]
    return sum(number < WANTED for number in ids) / max(1, len(ids))


def common(folder: str, seed: int) -> dict[str, Any]:
    """Settings of both trainers."""
    return {
        "output_dir": folder,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        "adam_epsilon": 1e-5,
        "max_grad_norm": 1.0,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_dropout": True,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": seed,
    }


def run_grpo(model: Any, steps: int, seed: int, folder: str) -> dict[str, Any]:
    """Groups of eight responses to four prompts, one update each."""
    rng = np.random.default_rng(seed)
    count = (steps + 1) * PROMPTS
    prompts = [text(ids) for ids in rng.integers(0, WORDS, (count, PROMPT_TOKENS))]
    timer = Timer()
    settings = GRPOConfig(
        **common(folder, seed),
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        max_completion_length=NEW_TOKENS,
        max_steps=steps + 1,
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        loss_type="dapo",
    )
    trainer = GRPOTrainer(
        model,
        lambda completions, **_: [wanted_share(completion) for completion in completions],
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=make_tokenizer(),
        callbacks=[timer],
    )
    trainer.train()
    seconds = time.perf_counter() - timer.start_s
    logged = [log for log in timer.logs if "completions/mean_length" in log][1:]
    tokens = sum(log["completions/mean_length"] for log in logged) * PROMPTS * GROUP
    return figures(round(tokens), seconds, [float(log["reward"]) for log in logged])


def run_dpo(model: Any, pairs: int, seed: int, folder: str) -> dict[str, Any]:
    """One pass over the pairs in minibatches of 16."""
    rng = np.random.default_rng(seed)
    prompts = [text(ids) for ids in rng.integers(0, WORDS, (pairs, PROMPT_TOKENS))]
    drawn = rng.integers(0, WORDS, (pairs, 2, NEW_TOKENS - 1))
    ordered = [sorted(map(text, pair), key=wanted_share, reverse=True) for pair in drawn]
    data = {
        "prompt": prompts,
        "chosen": [f" {better}" for better, _ in ordered],
        "rejected": [f" {worse}" for _, worse in ordered],
    }
    timer = Timer()
    trainer = DPOTrainer(
        model,
        args=DPOConfig(**common(folder, seed), per_device_train_batch_size=16, num_train_epochs=1, beta=0.1),
        train_dataset=Dataset.from_dict(data),
        processing_class=make_tokenizer(),
        callbacks=[timer],
    )
    trainer.train()
    seconds = time.perf_counter() - timer.start_s
    curve = [float(log["rewards/accuracies"]) for log in timer.logs if "rewards/accuracies" in log]
    # The first minibatch is not timed.
    return figures(2 * (pairs - 16) * NEW_TOKENS, seconds, curve)


def figures(tokens: int, seconds: float, curve: list[float]) -> dict[str, Any]:
    """The result."""
    return {
        "tokens": tokens,
        "training_s": round(seconds, 3),
        "tokens_per_s": round(tokens / seconds, 1),
        "last": float(np.mean(curve[-3:])),
        "curve": [{"step": step, "reward": value} for step, value in enumerate(curve, start=1)],
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


def main() -> None:
    """Run one method and print its figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=("grpo", "dpo"))
    parser.add_argument("--model", required=True, help="folder of the checkpoint")
    parser.add_argument("--rollouts", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        if options.method == "grpo":
            found = run_grpo(model, options.rollouts, options.seed, folder)
        else:
            found = run_dpo(model, options.pairs, options.seed, folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
