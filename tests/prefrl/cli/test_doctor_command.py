"""`prefrl doctor` on a healthy run, and on the same run with each problem that it can detect."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from torch import Tensor, nn

import prefrl_agents
from prefrl.cli import doctor_command, main
from prefrl.data.tokens import last_steps, response_tokens
from prefrl.data.types import Provenance, Segment
from prefrl.loop.environments import spaces_of
from prefrl.presets import get_preset
from prefrl.sb3 import NativeVecEnv
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.text.models import LanguageModel, RowDecoder
from prefrl_agents.text import LanguageModelPolicy, OnlineDPO, TokenPPO
from prefrl_envs.text import TextGenEnv, TextGenVectorEnv
from prefrl_envs.text.random_walks import RandomWalks

Doctor = Callable[[RunDir], dict[str, str]]
OF_POLICY = [
    "acting and learning agree",
    "acting and learning have one temperature",
    "padding is not the end",
    "tokens are the environment's",
    "dropout is off",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A short run; tests do not write to it."""
    path = tmp_path_factory.mktemp("runs") / "walks"
    words = ["--launcher", "serial", "--steps", "1920", "--labels", "20", "--eval-episodes", "4"]
    words += ["--env.num-envs", "16", "--agent.fine-tuning.demonstrations", "300", "--reward.members", "1"]
    assert main(["train", "text-walks", *words, "--reward.initial-epochs", "2", "--run", str(path)]) == 0
    return RunDir.open(path)


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """The problem found by each check, empty if there is none."""
    monkeypatch.setenv("COLUMNS", "1000")

    def ask(run: RunDir) -> dict[str, str]:
        torch.manual_seed(0)
        capsys.readouterr()
        status = main(["doctor", str(run.path)])
        found = {}
        for line in capsys.readouterr().out.splitlines():
            mark, rest = line.split(maxsplit=1)
            name, _, complaint = rest.partition(": ")
            assert (mark, complaint == "") in (("fine", True), ("wrong", False))
            found[name] = complaint
        assert status == int(any(found.values()))
        return found

    return ask


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None]], None]:
    """Changes the saved policy whenever it is loaded."""

    def change(how: Callable[[Any], None]) -> None:
        load = prefrl_agents.load_run_agent

        def load_spoilt(*arguments: Any) -> Any:
            agent = load(*arguments)
            how(agent.policy)
            return agent

        monkeypatch.setattr(prefrl_agents, "load_run_agent", load_spoilt)

    return change


def wrong(found: dict[str, str]) -> set[str]:
    return {name for name, complaint in found.items() if complaint and name in OF_POLICY}


def test_a_correct_policy_passes_all_checks(trained: RunDir, doctor: Doctor) -> None:
    found = doctor(trained)
    assert list(found)[: len(OF_POLICY)] == OF_POLICY
    assert wrong(found) == set()
    assert found["the KL is not negative"] == ""


def test_a_wrong_decoder_is_detected(
    trained: RunDir, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = RowDecoder.hidden

    def of_the_row_above(decoder: RowDecoder, ids: Tensor, lengths: Tensor) -> Tensor:
        return right(decoder, ids, lengths).roll(1, dims=0)

    monkeypatch.setattr(RowDecoder, "hidden", of_the_row_above)
    assert wrong(doctor(trained)) == {"acting and learning agree"}


def test_a_different_temperature_in_learning_is_detected(
    trained: RunDir, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = LanguageModelPolicy.evaluate_actions

    def hotter(policy: LanguageModelPolicy, *arguments: Any) -> Any:
        policy.temperature *= 2
        found = right(policy, *arguments)
        policy.temperature /= 2
        return found

    monkeypatch.setattr(LanguageModelPolicy, "evaluate_actions", hotter)
    found = doctor(trained)
    assert wrong(found) == {"acting and learning agree", "acting and learning have one temperature"}
    assert "2.00 times the temperature" in found["acting and learning have one temperature"]


def test_dropout_in_learning_is_detected(
    trained: RunDir,
    doctor: Doctor,
    spoil: Callable[[Callable[[Any], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drop(policy: Any) -> None:
        for module in policy.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.3

    spoil(drop)
    assert wrong(doctor(trained)) == set(), "the language model keeps its dropout off"
    monkeypatch.setattr(LanguageModel, "train", nn.Module.train)
    assert "dropout is off" in wrong(doctor(trained))


@pytest.mark.parametrize(
    ("pad_id", "eos_id", "found"),
    [
        (22, 22, {"padding is not the end", "tokens are the environment's"}),
        (21, 0, {"tokens are the environment's"}),
        (None, 22, {"tokens are the environment's"}),
    ],
)
def test_tokens_that_differ_from_the_environments_are_detected(
    trained: RunDir,
    doctor: Doctor,
    spoil: Callable[[Callable[[Any], None]], None],
    pad_id: int | None,
    eos_id: int,
    found: set[str],
) -> None:
    tokenizer = RandomWalks().tokenizer
    assert (tokenizer.pad_id, tokenizer.eos_id) == (21, 22)

    def confuse(policy: Any) -> None:
        policy.language_model.pad_id, policy.language_model.eos_id = pad_id, eos_id

    spoil(confuse)
    assert wrong(doctor(trained)) == found


@pytest.mark.parametrize("algorithm", [TokenPPO, OnlineDPO])
def test_log_probabilities_are_computed_as_each_algorithm_learns(algorithm: type[TokenPPO]) -> None:
    agent = algorithm(LanguageModelPolicy, NativeVecEnv(TextGenVectorEnv(RandomWalks(), 2)), seed=0)
    sampled = doctor_command._sample_responses(agent.policy)
    assert agent.policy._decoder is not None, "the texts were decoded as in a rollout"
    assert len(sampled.log_probs) == len(sampled.sequences) * 8
    torch.testing.assert_close(
        doctor_command._learning_log_probs(agent, sampled), sampled.log_probs, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(("kl", "complaint"), [(-3.0, "-3.00 nats"), (float("nan"), "not finite")])
def test_an_impossible_kl_is_detected(
    trained: RunDir, doctor: Doctor, tmp_path: Path, kl: float, complaint: str
) -> None:
    shutil.copytree(trained.path, tmp_path / "walks")
    run = RunDir.open(tmp_path / "walks")
    for _ in range(10):
        run.append_metrics({"rollout/kl": kl})
    assert complaint in doctor(run)["the KL is not negative"]


class Worth:
    """A learned reward that returns given values."""

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray]) -> None:
        self._predict = predict

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self._predict(observations)


def lengths_of(observations: np.ndarray) -> np.ndarray:
    return response_tokens(observations).astype(np.float32)


@pytest.fixture
def fresh(tmp_path: Path) -> RunDir:
    """A text run that has not begun."""
    config = get_preset("text-walks").config
    run = RunDir.create(tmp_path / "fresh", config)
    run.write_specs(*spaces_of(config.env))
    Store.open(run.store, create=True).close()
    return run


def record(run: RunDir, responses: Sequence[Sequence[int]]) -> None:
    """Add responses to the store, each to one of two prompts."""
    spec, _ = run.specs()
    with Store.open(run.store) as store:
        for number, response in enumerate(responses):
            ids = np.array([[number % 2, *response]])
            observations, actions = last_steps(ids, np.array([1]), np.array([ids.size]), spec)
            # The step tells apart texts that are the same.
            origin = Provenance("prefrl/RandomWalks-v0", 0, len(store.pool(1000)), 0)
            ends = np.array([True]), np.array([False])
            store.add_segments(
                [Segment(observations, actions, np.zeros(1, np.float32), *ends, origin)], keep_unqueried=1000
            )


def varied_and_short() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 21, (20, 3)).tolist()


def alike_and_long() -> list[list[int]]:
    return [[5] * (7 + number % 3) for number in range(20)]


class TestHistory:
    @pytest.fixture(autouse=True)
    def reward(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_command, "_reward", lambda run: Worth(lengths_of))

    def test_a_run_that_has_not_begun_has_no_checks(
        self, fresh: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["doctor", str(fresh.path)]) == 0
        assert capsys.readouterr().out == "nothing to check yet; let the run continue\n"

    def test_texts_that_become_long_and_similar_for_reward_are_detected(
        self, fresh: RunDir, doctor: Doctor
    ) -> None:
        record(fresh, [*varied_and_short(), *alike_and_long()])
        found = doctor(fresh)
        assert "rises while texts get alike" in found["texts stay varied"]
        assert "from 3 to 8 tokens" in found["reward is not length"]
        assert found["rewards are of ordinary size"] == ""
        assert found["responses to a prompt differ in reward"] == ""

    def test_texts_that_become_short_and_varied_pass(self, fresh: RunDir, doctor: Doctor) -> None:
        record(fresh, [*alike_and_long(), *varied_and_short()])
        found = doctor(fresh)
        assert (found["texts stay varied"], found["reward is not length"]) == ("", "")

    def test_equal_rewards_for_all_texts_are_detected(
        self, fresh: RunDir, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_command, "_reward", lambda run: Worth(lambda texts: np.ones(len(texts))))
        record(fresh, varied_and_short())
        found = doctor(fresh)
        assert "hardly differ" in found["rewards are of ordinary size"]
        assert "100% of the prompts" in found["responses to a prompt differ in reward"]


def test_runs_without_texts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = get_preset("penguin").config
    run = RunDir.create(tmp_path / "penguin", config)
    run.write_specs(*spaces_of(config.env))
    assert main(["doctor", str(run.path)]) == 1
    assert "is not a text run" in capsys.readouterr().err


def test_the_environments_tokens_are_read_from_the_installed_environment(
    trained: RunDir, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer to which tokens have been added."""

    class Grown(RandomWalks):
        def __init__(self) -> None:
            super().__init__(np.eye(22, k=-1, dtype=bool), max_walk_nodes=10)

    monkeypatch.setitem(gym.registry, "prefrl/RandomWalks-v0", _spec_of(Grown))
    assert wrong(doctor(trained)) == {"tokens are the environment's"}


def _spec_of(task: type[RandomWalks]) -> EnvSpec:
    return EnvSpec("prefrl/RandomWalks-v0", lambda: TextGenEnv(task()))
