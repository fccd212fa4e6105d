"""The commands for texts, one after the other as people use them, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.cli.compare_command import win_rate
from prefrl.rankings import Ranking, write_k_wise
from prefrl_envs.text.random_walks import RandomWalks

Capture = pytest.CaptureFixture[str]
WALKS = "prefrl/RandomWalks-v0"


def run(capsys: Capture, *words: str) -> list[dict[str, Any]]:
    assert main(list(words)) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def error_of(capsys: Capture, *words: str) -> str:
    assert main(list(words)) == 1
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model fine-tuned on random walks."""
    folder = tmp_path_factory.mktemp("models") / "sft"
    words = ["--env", WALKS, "--tuning.demonstrations", "800", "--tuning.epochs", "4"]
    assert main(["sft", str(folder), *words, "--tuning.learning-rate", "3e-3"]) == 0
    return folder


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rankings of random walks by how short they are."""
    task, rng = RandomWalks(), np.random.default_rng(0)
    rankings = []
    while len(rankings) < 150:
        prompt, first = task.demonstration(rng)
        walks = {first}
        for _ in range(30):
            other, walk = task.demonstration(rng)
            if other == prompt:
                walks.add(walk)
        texts = tuple(sorted(walks))[:4]
        if len(texts) == 4:
            rewards = task.reward([prompt] * 4, texts)
            ranks = np.unique(-rewards, return_inverse=True)[1] + 1
            rankings.append(Ranking(prompt, texts, tuple(ranks.tolist())))
    path = tmp_path_factory.mktemp("rankings") / "walks.jsonl"
    write_k_wise(path, rankings)
    return path


def test_fine_tuned_models_respond_like_the_demonstrations(walker: Path, capsys: Capture) -> None:
    lines = run(capsys, "generate", str(walker), "--env", WALKS, "--count", "40", "--seed", "3")
    assert len(lines) == 40
    task = RandomWalks()
    steps = [
        (first, second)
        for line in lines
        for first, second in zip(
            [line["prompt"], *line["response"].split()], line["response"].split(), strict=False
        )
    ]
    numbers = {name: number for number, name in enumerate(task.nodes)}
    along = np.mean([task.edges[numbers[first], numbers[second]] for first, second in steps])
    # A tenth of all pairs of nodes have an edge.
    assert along > 0.4
    assert {line["true_reward"] for line in lines} != {0.0}


def test_prompts_can_be_given(walker: Path, capsys: Capture) -> None:
    lines = run(capsys, "generate", str(walker), "--prompt", "c", "--count", "3", "--max-new-tokens", "5")
    assert [line["prompt"] for line in lines] == ["c"] * 3
    assert all(len(line["response"].split()) <= 5 for line in lines)


def test_a_reward_learned_from_a_file_of_rankings_trains_a_policy(
    walker: Path, ranked: Path, tmp_path: Path, capsys: Capture
) -> None:
    reward, out = tmp_path / "reward", tmp_path / "grpo"
    words = ["--reward.language-model", str(walker), "--epochs", "6", "--reward.learning-rate", "1e-3"]
    (fitted,) = run(capsys, "fit", str(ranked), "--out", str(reward), *words)
    assert fitted["labels"] == 150
    assert fitted["accuracy_train"] > 0.7
    assert -1.0 <= fitted["length_bias"] <= 1.0
    assert 0.0 <= fitted["accuracy_longer_validation"] <= 1.0
    settings = ["--grpo.steps", "4", "--grpo.prompts", "4", "--grpo.group-size", "4"]
    words = ["--env", WALKS, "--out", str(out), "--reward", str(reward)]
    (trained,) = run(capsys, "grpo", str(walker), *words, *settings)
    assert trained["steps"] == 4
    assert (out / "model.safetensors").is_file()
    (compared,) = run(capsys, "compare", str(out), str(walker), "--env", WALKS, "--count", "20")
    assert compared["interval_95"][0] <= compared["win_rate"] <= compared["interval_95"][1]
    words = ["--env", WALKS, "--count", "20", "--reward", str(reward)]
    one, best = (run(capsys, "generate", str(walker), *words, "--best-of", n) for n in ("1", "8"))
    assert [line["prompt"] for line in one] == [line["prompt"] for line in best]
    assert np.mean([line["reward"] for line in best]) > np.mean([line["reward"] for line in one]) + 0.5


def test_rankings_teach_a_policy_directly(
    walker: Path, ranked: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["--dpo.beta", "0.3", "--dpo.epochs", "4", "--dpo.learning-rate", "3e-4"]
    (found,) = run(capsys, "dpo", str(walker), "--data", str(ranked), "--out", str(tmp_path / "dpo"), *words)
    assert found["train"]["accuracy"] > 0.8
    assert found["train"]["margin"] > 0
    assert found["validation"] is not None
    (compared,) = run(capsys, "compare", str(tmp_path / "dpo"), str(walker), "--env", WALKS, "--count", "300")
    assert compared["win_rate"] > 0.6


def test_a_checkpoint_of_transformers_goes_all_the_way(gpt2: Path, tmp_path: Path, capsys: Capture) -> None:
    """GPT-2 as people have it: a byte-pair tokenizer without padding, saved by transformers, loaded by its path."""
    data = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"Question {n}?", "chosen": f" The answer is {n}.", "rejected": " No idea."}
        for n in range(12)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sft, reward = tmp_path / "sft", tmp_path / "reward"
    (tuned,) = run(capsys, "sft", str(sft), "--model", str(gpt2), "--data", str(data), "--tuning.epochs", "2")
    assert tuned["demonstrations"] + 1 >= 10
    run(capsys, "fit", str(data), "--out", str(reward), "--reward.language-model", str(sft), "--epochs", "2")
    run(capsys, "dpo", str(sft), "--data", str(data), "--out", str(tmp_path / "dpo"))
    words = ["--prompt", "Question 3?", "--count", "2", "--max-new-tokens", "8"]
    lines = run(capsys, "generate", str(tmp_path / "dpo"), *words)
    assert [line["prompt"] for line in lines] == ["Question 3?"] * 2
    # As it came, too: padding gets its room.
    assert len(run(capsys, "generate", str(gpt2), *words)) == 2


def test_win_rate_by_hand() -> None:
    # Better, worse, equal, better: 2.5 of 4.
    share, (low, high) = win_rate(np.array([1.0, 0, 2, 3]), np.array([0.0, 1, 2, 1]))
    assert share == 0.625
    # Of 1, 0, .5, 1 the deviation is sqrt(.6875 / 3) = .4787; 1.96 of it over 2 is .4691.
    assert (low, high) == (pytest.approx(0.1559, abs=1e-3), 1.0)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sft", "OUT"], "nothing to learn from; name a task by --env"),
        (["sft", "OUT", "--env", "CartPole-v1"], "no environment of texts"),
        (["sft", "OUT", "--env", WALKS, "--model", "huge"], "cannot be loaded as a causal language model"),
        (["sft", "OUT", "--env", WALKS, "--tuning.epochs", "0"], "epochs is 0"),
        (["generate", "WALKER"], "nothing to respond to"),
        (["generate", "WALKER", "--prompt", "a", "--best-of", "4"], "nothing says which is best"),
        (["generate", "WALKER", "--prompt", "a", "--best-of", "0"], "--best-of is 0"),
        (["generate", "WALKER", "--prompt", "zz"], "word 'zz'"),
        (["generate", "WALKER", "--prompt", ""], "is empty"),
        (["generate", "WALKER", "--prompt", "a b c d e f g", "--max-new-tokens", "6"], "takes 11 in all"),
        (["generate", "tiny", "--prompt", "a"], "nothing says for which tokens"),
        (["dpo", "WALKER", "--data", "NOTHING", "--out", "OUT"], "NOTHING"),
        (["dpo", "WALKER", "--data", "TIES", "--out", "OUT"], "no ranking but ties"),
        (["fit", "TIES", "--out", "OUT"], "no ranking but ties"),
        (["fit", "RANKED", "--out", "OUT", "--reward.loss", "regression"], "all of them are 0"),
        (["grpo", "WALKER", "--env", WALKS, "--out", "WALKER"], "there already"),
        (["grpo", "WALKER", "--env", WALKS, "--out", "OUT", "--grpo.group-size", "1"], "group_size is 1"),
        (["grpo", "WALKER", "--env", "prefrl/Reviews-v0", "--out", "OUT"], "word 'the'"),
        (["compare", "WALKER", "WALKER", "--env", WALKS, "--count", "1"], "at least 2 prompts"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    words: list[str], complaint: str, walker: Path, ranked: Path, tmp_path: Path, capsys: Capture
) -> None:
    ties = tmp_path / "ties.jsonl"
    ties.write_text(json.dumps({"prompt": "c", "responses": ["a", "b"], "ranks": [1, 1]}) + "\n")
    names = {"OUT": str(tmp_path / "out"), "WALKER": str(walker), "TIES": str(ties), "RANKED": str(ranked)}
    try:
        status = main([names.get(word, word) for word in words])
    except SystemExit as error:
        status = int(error.code or 0)
    assert status in (1, 2)
    assert complaint in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
