"""Language models with their tokenizers, as the commands for texts read and write them."""

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
        """Write both, all or nothing, as safetensors and JSON; transformers reads the model from there, too.

        Raises:
            OSError: when the folder cannot be written, or holds something.
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
            # A tokenizer of a task of the user's own is not ours to write: `open_text_model` takes it from the task.

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of a prompt; ValueError when it is empty or has a part without a token."""
        ids = self.tokenizer.encode(prompt)
        if not ids:
            raise ValueError(f"prompt {prompt!r} is empty; every prompt needs a token")
        return ids

    def encode_prompts(self, prompts: Sequence[str], max_new_tokens: int) -> list[list[int]]:
        """Token ids of prompts to respond to.

        Raises:
            ValueError: as `encode_prompt`, and when one leaves no room for a response.
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
        """Token ids of a response and the token that ends it."""
        return [*self.tokenizer.encode(response), self.tokenizer.eos_id]


def open_text_model(
    source: str,
    task: TextTask | None = None,
    seed: int = 0,
    device: str = "cpu",
    trust: bool = False,
) -> TextModel:
    """The model at ``source``: a run directory, a checkpoint's folder, a name on the hub, or a size.

    Args:
        source: sizes are those of `prefrl.text.models.SIZES`, made anew for the tokens of ``task``.
        task: whose tokens they are, where the source does not say.
        seed: of fresh weights.
        device: where to put it: "cpu", "cuda", "cuda:N", or "auto", a GPU that CUDA can use where there is one.
        trust: whether the user's command lets the folder of a run execute code.

    Raises:
        ValueError: when there is no such model or device, or nothing says what the model's tokens are.
    """
    target = torch_device(device, "--device")
    texts = _opened(source, task, seed, trust)
    texts.model.to(target)
    return texts


def _opened(source: str, task: TextTask | None, seed: int, trust: bool) -> TextModel:
    from prefrl.text.models import SIZES, LanguageModel

    folder = Path(source)
    if (folder / "config.json").is_file() and RunDir(folder).store.is_file():
        return _of_run(open_run(folder, trust), trust)
    if source in SIZES:
        if task is None:
            raise ValueError(
                f"{source} is made anew, and nothing says for which tokens; name a task by --env"
            )
        # A response that the limit cut off, saved as text and read again, has its end besides.
        tokenizer, room = task.tokenizer, task.max_prompt_tokens + task.max_new_tokens + 1
        made = LanguageModel.create(
            source, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed
        )
        return TextModel(made, tokenizer)
    model = LanguageModel.load(source)
    tokenizer = _tokenizer_of(source, model, task)
    try:
        # What the checkpoint itself says of padding and the end may be of another tokenizer.
        model.set_vocabulary(tokenizer.vocab_size, tokenizer.pad_id, tokenizer.eos_id)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return TextModel(model, tokenizer)


def _tokenizer_of(source: str, model: LanguageModel, task: TextTask | None) -> Tokenizer:
    """That of a checkpoint: ours, or that of a task of as many tokens, or its own."""
    ours = Path(source) / _TOKENIZER_FILE
    if ours.is_file():
        return _read_tokenizer(ours)
    if task is not None and model.vocab_size == task.tokenizer.vocab_size:
        return task.tokenizer
    return HubTokenizer.load(source)


def _of_run(run: RunDir, trust: bool) -> TextModel:
    from prefrl_agents import load_run_agent
    from prefrl_agents.algorithms import find_algorithm

    config = run.config()
    if not find_algorithm(config.agent.algorithm).for_texts:
        raise ValueError(f"{run.path} trained {config.agent.algorithm}, not a language model; {_WAY_OUT}")
    agent = load_run_agent(run, config, trust)
    # Without its adapters the run's model is not what the run came to, and what they adapt was frozen.
    model = agent.policy.language_model.merged()
    return TextModel(model, text_environment(config.env).task.tokenizer)


def _read_tokenizer(path: Path) -> Tokenizer:
    described = read_json(path, "save the checkpoint again")
    if described.get("kind") == "bytes":
        return ByteTokenizer()
    if described.get("kind") == "words" and isinstance(described.get("words"), list):
        return WordTokenizer(described["words"])
    raise ValueError(f"{path} describes no tokenizer that is known; save the checkpoint again")


def text_environment(env: EnvConfig) -> TextGenEnv:
    """The environment of texts of that id: its task, and what it rewards.

    Raises:
        ValueError: when there is no such environment, it cannot be made, or its observations are no texts.
    """
    made: gym.Env[Any, Any] = make_ordinary_environment(env)
    inner = made.unwrapped
    made.close()
    if not isinstance(inner, TextGenEnv):
        raise ValueError(
            f"{env.id} is no environment of texts; take prefrl/RandomWalks-v0, say, or a TextGenEnv of your own"
        )
    return inner


def named_environment(name: str | None, kwargs: JsonDict) -> TextGenEnv | None:
    """As `text_environment`, for commands that need none; ValueError, too, when there are settings of none."""
    if name is not None:
        return text_environment(EnvConfig(name, kwargs))
    if kwargs:
        raise ValueError(f"--env-kwargs is {kwargs}, and no environment takes it; name one by --env")
    return None
