"""Opens and saves language models with their tokenizers, for the text commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from prefrl.config import EnvConfig, JsonDict
from prefrl.config.device import torch_device
from prefrl.loop.environments import make_ordinary_environment
from prefrl.loop.trust import open_run
from prefrl.storage.durable import durable_folder, read_json, write_json_atomic
from prefrl.storage.run_dir import RunDir
from prefrl_envs.text import ByteTokenizer, HubTokenizer, TextGenEnv, TextTask, Tokenizer, WordTokenizer

if TYPE_CHECKING:
    from prefrl.text.models import LanguageModel

__all__ = ["TextModel", "named_environment", "open_text_model", "text_environment"]

_TOKENIZER_FILE = "prefrl_tokenizer.json"
_WAY_OUT = "give the folder of a run, or one that `prefrl sft` or transformers' save_pretrained wrote"


@dataclass(frozen=True)
class TextModel:
    """A language model and the tokenizer it was made for."""

    model: LanguageModel
    tokenizer: Tokenizer

    def save(self, folder: Path) -> None:
        """Write both atomically, as safetensors and JSON; transformers can read the model from the folder.

        Raises:
            OSError: when the folder cannot be written, or is not empty.
        """
        with durable_folder(folder) as making:
            self.model.save(making)
            if isinstance(self.tokenizer, WordTokenizer):
                words = {"kind": "words", "words": list(self.tokenizer.words)}
                write_json_atomic(making / _TOKENIZER_FILE, words)
            elif isinstance(self.tokenizer, ByteTokenizer):
                write_json_atomic(making / _TOKENIZER_FILE, {"kind": "bytes"})
            elif isinstance(self.tokenizer, HubTokenizer):
                self.tokenizer.save(making)
            # The tokenizer of a user's own task is not saved: `open_text_model` takes it from the task.

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of a prompt; raises ValueError when it is empty or cannot be tokenized."""
        ids = self.tokenizer.encode(prompt)
        if not ids:
            raise ValueError(f"prompt {prompt!r} is empty; a prompt needs at least one token")
        return ids

    def encode_prompts(self, prompts: Sequence[str], max_new_tokens: int) -> list[list[int]]:
        """Token ids of prompts, checked to leave room for a response of ``max_new_tokens``.

        Raises:
            ValueError: as `encode_prompt`, and when a prompt leaves too little room.
        """
        encoded = [self.encode_prompt(prompt) for prompt in prompts]
        for prompt, ids in zip(prompts, encoded, strict=True):
            if len(ids) + max_new_tokens > self.model.max_tokens:
                raise ValueError(
                    f"prompt {prompt[:60]!r} has {len(ids)} tokens and a response may have {max_new_tokens}; the model "
                    f"takes {self.model.max_tokens} in all, shorten the prompt or ask for shorter responses"
                )
        return encoded

    def encode_response(self, response: str) -> list[int]:
        """Token ids of a response, followed by the end token."""
        return [*self.tokenizer.encode(response), self.tokenizer.eos_id]


def open_text_model(
    source: str,
    task: TextTask | None = None,
    seed: int = 0,
    device: str = "cpu",
    trust: bool = False,
) -> TextModel:
    """Open the model at ``source``: a run directory, a checkpoint folder, a name on the hub, or a size.

    Args:
        source: a size is one of `prefrl.text.models.SIZES`, and gives a new model for the tokenizer of ``task``.
        task: gives the tokenizer if the source has none.
        seed: random seed of new weights.
        device: device of the model: "cpu", "cuda", "cuda:N", or "auto", a GPU if CUDA can use one, else the CPU.
        trust: whether a run directory may execute code.

    Raises:
        ValueError: when there is no such model or device, or the model's tokenizer is unknown.
    """
    target = torch_device(device, "--device")
    texts = _opened(source, task, seed, trust)
    texts.model.to(target)
    return texts


def _opened(source: str, task: TextTask | None, seed: int, trust: bool) -> TextModel:
    from prefrl.text.models import SIZES, LanguageModel

    folder = Path(source)
    if (folder / "config.json").is_file() and RunDir(folder).store.is_file():
        return _open_run_model(open_run(folder, trust), trust)
    if source in SIZES:
        if task is None:
            raise ValueError(
                f"{source} is the size of a new model, which needs a tokenizer; name a task by --env"
            )
        # A response that was cut off at the limit, saved as text and read again, has an end token in addition.
        tokenizer, room = task.tokenizer, task.max_prompt_tokens + task.max_new_tokens + 1
        made = LanguageModel.create(
            source, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed
        )
        return TextModel(made, tokenizer)
    model = LanguageModel.load(source)
    tokenizer = _tokenizer_of(source, model, task)
    try:
        # The padding and end tokens that the checkpoint itself names may belong to another tokenizer.
        model.set_vocabulary(tokenizer.vocab_size, tokenizer.pad_id, tokenizer.eos_id)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return TextModel(model, tokenizer)


def _tokenizer_of(source: str, model: LanguageModel, task: TextTask | None) -> Tokenizer:
    """The tokenizer of a checkpoint: one that prefrl saved, or the task's if its size matches, or the checkpoint's."""
    ours = Path(source) / _TOKENIZER_FILE
    if ours.is_file():
        return _read_tokenizer(ours)
    if task is not None and model.vocab_size == task.tokenizer.vocab_size:
        return task.tokenizer
    return HubTokenizer.load(source)


def _open_run_model(run: RunDir, trust: bool) -> TextModel:
    from prefrl_agents import load_run_agent
    from prefrl_agents.algorithms import find_algorithm

    config = run.config()
    if not find_algorithm(config.agent.algorithm).for_texts:
        raise ValueError(f"{run.path} trained {config.agent.algorithm}, not a language model; {_WAY_OUT}")
    agent = load_run_agent(run, config, trust)
    # The run trained its adapters only; without them the model would be the one it started from.
    model = agent.policy.language_model.merged()
    return TextModel(model, text_environment(config.env).task.tokenizer)


def _read_tokenizer(path: Path) -> Tokenizer:
    described = read_json(path, "save the checkpoint again")
    if described.get("kind") == "bytes":
        return ByteTokenizer()
    if described.get("kind") == "words" and isinstance(described.get("words"), list):
        return WordTokenizer(described["words"])
    raise ValueError(f"{path} describes an unknown tokenizer; save the checkpoint again")


def text_environment(env: EnvConfig) -> TextGenEnv:
    """The text environment with this id; gives access to its task and reward function.

    Raises:
        ValueError: when there is no such environment, it cannot be made, or it is not a text environment.
    """
    made: gym.Env[Any, Any] = make_ordinary_environment(env)
    inner = made.unwrapped
    made.close()
    if not isinstance(inner, TextGenEnv):
        raise ValueError(
            f"{env.id} is not a text environment; use, for example, prefrl/RandomWalks-v0 or a TextGenEnv of your own"
        )
    return inner


def named_environment(name: str | None, kwargs: JsonDict) -> TextGenEnv | None:
    """Like `text_environment`, but None without a name; raises ValueError for ``kwargs`` without a name."""
    if name is not None:
        return text_environment(EnvConfig(name, kwargs))
    if kwargs:
        raise ValueError(
            f"--env-kwargs is {kwargs}, but there is no environment to take it; name one by --env"
        )
    return None
