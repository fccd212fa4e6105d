"""Language models with their tokenizers, as the commands for texts read and write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from prefrl.config import TEXT_ALGORITHMS, EnvConfig
from prefrl.environments import make_ordinary_environment
from prefrl.run_dir import RunDir, read_json, write_json_atomic
from prefrl_envs.text import ByteTokenizer, HubTokenizer, TextTask, Tokenizer, WordTokenizer

if TYPE_CHECKING:
    from prefrl.language import LanguageModel

__all__ = ["TextModel", "check_new_folder", "open_text_model", "text_task"]

_TOKENIZER_FILE = "prefrl_tokenizer.json"
_WAY_OUT = "give the folder of a run, or one that `prefrl sft` or transformers' save_pretrained wrote"


@dataclass(frozen=True)
class TextModel:
    """A language model and the tokenizer it was made for."""

    model: LanguageModel
    tokenizer: Tokenizer

    def save(self, folder: Path) -> None:
        """Write both, as safetensors and JSON; transformers reads the model from there, too."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder)
        if isinstance(self.tokenizer, WordTokenizer):
            write_json_atomic(
                folder / _TOKENIZER_FILE, {"kind": "words", "words": list(self.tokenizer.words)}
            )
        elif isinstance(self.tokenizer, ByteTokenizer):
            write_json_atomic(folder / _TOKENIZER_FILE, {"kind": "bytes"})
        elif isinstance(self.tokenizer, HubTokenizer):
            self.tokenizer.save(folder)
        # A tokenizer of a task of the user's own is not ours to write: `open_text_model` takes it from the task.

    def encode_prompts(self, prompts: Sequence[str], max_new_tokens: int) -> list[list[int]]:
        """Token ids of prompts.

        Raises:
            ValueError: when one is empty, has a part without a token, or leaves no room for a response.
        """
        encoded = []
        for prompt in prompts:
            ids = self.tokenizer.encode(prompt)
            if not ids:
                raise ValueError(f"prompt {prompt!r} is empty; every prompt needs a token")
            if len(ids) + max_new_tokens > self.model.max_tokens:
                raise ValueError(
                    f"prompt {prompt[:60]!r} has {len(ids)} tokens and a response may have {max_new_tokens}; the model "
                    f"takes {self.model.max_tokens} in all, shorten the prompt or lower --max-new-tokens"
                )
            encoded.append(ids)
        return encoded

    def encode_response(self, response: str) -> list[int]:
        """Token ids of a response and the token that ends it."""
        return [*self.tokenizer.encode(response), self.tokenizer.eos_id]


def open_text_model(source: str, task: TextTask | None = None, seed: int = 0) -> TextModel:
    """The model at ``source``: a run directory, a checkpoint's folder, a name on the hub, or a size.

    Args:
        source: sizes are those of `prefrl.language.SIZES`, made anew for the tokens of ``task``.
        task: whose tokens they are, where the source does not say.
        seed: of fresh weights.

    Raises:
        ValueError: when there is no such model, or nothing says what its tokens are.
    """
    from prefrl.language import SIZES, LanguageModel

    folder = Path(source)
    if (folder / "config.json").is_file() and RunDir(folder).store.is_file():
        return _of_run(RunDir.open(folder))
    if source in SIZES:
        if task is None:
            raise ValueError(
                f"{source} is made anew, and nothing says for which tokens; name a task by --env"
            )
        tokenizer, room = task.tokenizer, task.max_prompt_tokens + task.max_new_tokens
        made = LanguageModel.create(
            source, tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed
        )
        return TextModel(made, tokenizer)
    model = LanguageModel.load(source)
    if (folder / _TOKENIZER_FILE).is_file():
        return TextModel(model, _read_tokenizer(folder / _TOKENIZER_FILE))
    if task is not None and model.vocab_size == task.tokenizer.vocab_size:
        return TextModel(model, task.tokenizer)
    hub = HubTokenizer.load(source)
    model.take_tokens(hub.vocab_size, hub.pad_id, hub.eos_id)
    return TextModel(model, hub)


def _of_run(run: RunDir) -> TextModel:
    from prefrl_agents import load_model

    config = run.config()
    if config.agent.algorithm not in TEXT_ALGORITHMS:
        raise ValueError(f"{run.path} trained {config.agent.algorithm}, not a language model; {_WAY_OUT}")
    agent = load_model(config.agent.algorithm, run.agent)
    return TextModel(agent.policy.language_model, text_task(config.env).tokenizer)


def _read_tokenizer(path: Path) -> Tokenizer:
    described = read_json(path, "save the checkpoint again")
    if described.get("kind") == "bytes":
        return ByteTokenizer()
    if described.get("kind") == "words" and isinstance(described.get("words"), list):
        return WordTokenizer(described["words"])
    raise ValueError(f"{path} describes no tokenizer that is known; save the checkpoint again")


def text_task(env: EnvConfig) -> TextTask:
    """The task of a text environment.

    Raises:
        ValueError: when there is no such environment, or its observations are no texts.
    """
    made: gym.Env[Any, Any] = make_ordinary_environment(env)
    task = getattr(made.unwrapped, "task", None)
    made.close()
    if task is None:
        raise ValueError(
            f"{env.id} is no environment of texts; take prefrl/RandomWalks-v0, say, or one of your own"
        )
    return task


def check_new_folder(out: Path) -> None:
    """Refuse to write over anything, before any work starts."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out is {out}, which is there already; choose a new folder")
