"""Opening and saving language models with their tokenizers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import prefrl_agents
from prefrl.cli.text_models import TextModel, named_environment, open_text_model, text_environment
from prefrl.config import AgentConfig, EnvConfig, RunConfig
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.text.models import LanguageModel
from prefrl_envs.text import TextGenEnv
from prefrl_envs.text.random_walks import RandomWalks

WALKS = EnvConfig("prefrl/RandomWalks-v0")


def walker() -> TextModel:
    tokenizer = RandomWalks().tokenizer
    model = LanguageModel.create("tiny", tokenizer.vocab_size, 11, tokenizer.pad_id, tokenizer.eos_id)
    return TextModel(model, tokenizer)


def hidden(model: LanguageModel) -> torch.Tensor:
    with torch.no_grad():
        return model.hidden(torch.arange(8).view(2, 4))


@pytest.mark.parametrize("is_ours", [True, False], ids=["tokenizer beside it", "tokenizer of the task"])
def test_padding_and_end_tokens_come_from_the_tokenizer_not_the_checkpoint(
    is_ours: bool, tmp_path: Path
) -> None:
    saved = walker()
    saved.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token_id": 3, "eos_token_id": [4, 5]}))
    if not is_ours:
        (tmp_path / "model" / "prefrl_tokenizer.json").unlink()
    opened = open_text_model(str(tmp_path / "model"), RandomWalks())
    tokenizer = RandomWalks().tokenizer
    assert (opened.model.pad_id, opened.model.eos_id) == (tokenizer.pad_id, tokenizer.eos_id)
    assert opened.tokenizer.encode("b c") == tokenizer.encode("b c")
    torch.testing.assert_close(hidden(opened.model), hidden(saved.model))


def test_a_tokenizer_that_does_not_fit_the_checkpoint_is_refused(tmp_path: Path) -> None:
    walker().save(tmp_path / "model")
    (tmp_path / "model" / "prefrl_tokenizer.json").write_text('{"kind": "bytes"}')
    with pytest.raises(ValueError, match=r"model: the model has a vocabulary of 23 tokens"):
        open_text_model(str(tmp_path / "model"))


def test_a_failed_save_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = walker()

    def fail(self: LanguageModel, folder: Path) -> None:
        (Path(folder) / "config.json").touch()
        raise OSError("no space left")

    monkeypatch.setattr(LanguageModel, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        texts.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_adapters_trained_by_a_run_are_part_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig(env=WALKS, agent=AgentConfig("token_ppo")))
    Store.open(run.store, create=True).close()
    trained = walker().model.with_lora(2)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    expected = hidden(trained)
    agent = SimpleNamespace(policy=SimpleNamespace(language_model=trained))
    monkeypatch.setattr(prefrl_agents, "load_run_agent", lambda *_: agent)
    opened = open_text_model(str(run.path)).model
    assert not opened.has_adapters
    torch.testing.assert_close(hidden(opened), expected, atol=1e-4, rtol=1e-4)
    # All of it can be trained on, though adapters froze what they adapt.
    assert all(weight.requires_grad for weight in opened.parameters())
    again = opened.with_lora(2)
    with again.without_adapters():
        torch.testing.assert_close(hidden(again), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cpu:x", "CPU", "", "meta"])
def test_invalid_device_names_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match=r"--device is '.*'; it must be auto, cpu, cuda, or cuda:N"):
        open_text_model("tiny", RandomWalks(), device=device)


def test_missing_gpus_are_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"'cuda:{count}', and CUDA can use {count} GPUs here; use auto or"):
        open_text_model("tiny", RandomWalks(), device=f"cuda:{count}")


def test_models_are_on_the_requested_device() -> None:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    for name, expected in (("auto", auto), ("cpu", "cpu")):
        opened = open_text_model("tiny", RandomWalks(), device=name)
        assert opened.model.device.type == expected


def test_text_environments_are_made_with_their_settings() -> None:
    env = named_environment(WALKS.id, {"max_walk_nodes": 7})
    assert isinstance(env, TextGenEnv)
    assert env.task.max_new_tokens == 7
    assert named_environment(None, {}) is None


@pytest.mark.parametrize(
    ("name", "kwargs", "complaint"),
    [
        (None, {"max_walk_nodes": 7}, "there is no environment to take it; name one by --env"),
        ("CartPole-v1", {}, "CartPole-v1 is not a text environment"),
        (WALKS.id, {"nodes": 7}, "cannot be made with"),
    ],
)
def test_other_environments_are_refused(name: str | None, kwargs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        named_environment(name, kwargs)


def test_an_environment_gives_its_reward_function() -> None:
    env = text_environment(WALKS)
    assert env.reward_function == env.task.reward
    own = text_environment(EnvConfig(WALKS.id, {"reward": "math:hypot"}))
    assert own.reward_function is not own.task.reward
