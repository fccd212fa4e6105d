"""The text commands, in the order people use them, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.cli.compare_command import win_rate
from prefrl.text.rankings import Ranking, write_k_wise
from prefrl_envs.text.random_walks import RandomWalks

pytestmark = pytest.mark.slow

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
    """Random walks ranked by length, the shortest first."""
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


@pytest.fixture(scope="module")
def short_walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the same tokenizer that takes texts of at most 8 tokens."""
    folder = tmp_path_factory.mktemp("models") / "short"
    words = ["--env", WALKS, "--env-kwargs", '{"max_walk_nodes": 7}', "--tuning.demonstrations", "40"]
    assert main(["sft", str(folder), *words, "--tuning.epochs", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def some_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rankings; the worse response of 4 and the better response of 2 are too long for that model."""
    long = "b c d e f g h a"
    responses = [("a", "b a")] * 14 + [("a", long)] * 4 + [(long, "a")] * 2
    path = tmp_path_factory.mktemp("rankings") / "long.jsonl"
    pairs = zip("bcdefghijklmnopqrstu", responses, strict=True)
    write_k_wise(path, [Ranking(prompt, pair, (1, 2)) for prompt, pair in pairs])
    return path


def count_words(prompts: list[str], responses: list[str]) -> list[int]:
    """A user-defined reward."""
    return [len(response.split()) for response in responses]


def say_nothing(prompts: list[str], responses: list[str]) -> list[float]:
    """A user-defined reward that is not a number."""
    return [float("nan")] * len(responses)


def own_prompts(gpt2: Path, folder: Path, **settings: str) -> list[str]:
    """Arguments for an environment with the user's own prompts, limited to the longest of them."""
    prompts = folder / "prompts.txt"
    prompts.write_text("".join(f"Question {n}?\n" for n in range(12)))
    kwargs = {"prompts": str(prompts), "tokenizer": str(gpt2), "max_new_tokens": 6} | settings
    return ["--env", "prefrl/Prompts-v0", "--env-kwargs", json.dumps(kwargs)]


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


def test_responds_to_given_prompts(walker: Path, capsys: Capture) -> None:
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


def test_dpo_learns_from_rankings(walker: Path, ranked: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["--dpo.beta", "0.3", "--dpo.epochs", "4", "--dpo.learning-rate", "3e-4"]
    (found,) = run(capsys, "dpo", str(walker), "--data", str(ranked), "--out", str(tmp_path / "dpo"), *words)
    assert found["train"]["accuracy"] > 0.8
    assert found["train"]["margin"] > 0
    assert found["validation"] is not None
    (compared,) = run(capsys, "compare", str(tmp_path / "dpo"), str(walker), "--env", WALKS, "--count", "300")
    assert compared["win_rate"] > 0.6


def test_a_transformers_checkpoint_works_in_all_commands(gpt2: Path, tmp_path: Path, capsys: Capture) -> None:
    """GPT-2 as commonly distributed: a byte-pair tokenizer without padding, saved by transformers, loaded by path."""
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


def test_the_environments_own_reward_is_the_true_one(walker: Path, tmp_path: Path, capsys: Capture) -> None:
    kwargs = json.dumps({"reward": f"{__name__}:count_words"})
    words = ["--env", WALKS, "--env-kwargs", kwargs]
    lines = run(capsys, "generate", str(walker), *words, "--count", "8")
    assert [line["true_reward"] for line in lines] == [len(line["response"].split()) for line in lines]
    (compared,) = run(capsys, "compare", str(walker), str(walker), *words, "--count", "20")
    # Every response ends with a token that is no word, or is cut off at the tenth.
    assert compared["reward_first"] == pytest.approx(compared["tokens_first"] - 1, abs=0.5)
    settings = ["--grpo.steps", "1", "--grpo.prompts", "4", "--grpo.group-size", "4"]
    (trained,) = run(capsys, "grpo", str(walker), *words, "--out", str(tmp_path / "grpo"), *settings)
    assert trained["reward_first"] > 1.0


def test_a_reward_that_is_not_a_number_is_reported(walker: Path, capsys: Capture) -> None:
    words = ["--env", WALKS, "--env-kwargs", json.dumps({"reward": f"{__name__}:say_nothing"})]
    for command in (["generate", str(walker)], ["compare", str(walker), str(walker)]):
        assert "gave nan, where a finite number is needed" in error_of(capsys, *command, *words)


def test_own_prompts_need_a_reward(gpt2: Path, tmp_path: Path, capsys: Capture) -> None:
    words = own_prompts(gpt2, tmp_path)
    lines = run(capsys, "generate", str(gpt2), *words, "--count", "3")
    assert [line["prompt"].startswith("Question") for line in lines] == [True] * 3
    assert not any("true_reward" in line for line in lines)
    out = ["--out", str(tmp_path / "out")]
    for command in (["grpo", "NOBODY", *out], ["compare", "NOBODY", "NOBODY"]):
        # Said before any model is looked for.
        assert "there is no reward to score texts with; give a learned" in error_of(capsys, *command, *words)
    assert not (tmp_path / "out").exists()
    words = own_prompts(gpt2, tmp_path, reward=f"{__name__}:count_words")
    settings = ["--grpo.steps", "1", "--grpo.prompts", "2", "--grpo.group-size", "2"]
    (trained,) = run(capsys, "grpo", str(gpt2), *words, *out, *settings)
    assert trained["reward_first"] > 0
    (compared,) = run(capsys, "compare", str(tmp_path / "out"), str(gpt2), *words, "--count", "2")
    assert compared["reward_first"] >= 0


def test_a_reward_for_shorter_texts_is_refused_before_any_work(
    walker: Path, short_walker: Path, some_long: Path, tmp_path: Path, capsys: Capture
) -> None:
    reward, out = str(tmp_path / "reward"), str(tmp_path / "out")
    words = [str(some_long), "--out", reward, "--reward.language-model", str(short_walker)]
    assert "the model takes 9; leave such texts out with --skip-long" in error_of(capsys, "fit", *words)
    (fitted,) = run(capsys, "fit", *words, "--skip-long")
    assert (fitted["labels"], fitted["left_out"]) == (14, 6)
    words = ["--env", WALKS, "--reward", reward]
    for command in (
        ["grpo", str(walker), "--out", out],
        ["compare", str(walker), str(walker)],
        ["generate", str(walker)],
    ):
        complaint = error_of(capsys, *command, *words)
        assert (
            "takes texts of at most 9 tokens, prompt and response together, and texts may have up to 11"
            in complaint
        )
    assert not Path(out).exists()
    words = ["--prompt", "c", "--max-new-tokens", "7", "--reward", reward]
    assert len(run(capsys, "generate", str(walker), *words)) == 5


def test_a_model_can_learn_from_its_own_response_that_was_cut_off_at_the_limit(
    tmp_path: Path, walker: Path, capsys: Capture
) -> None:
    # Ten nodes are all the room there is for a walk, which then has not been ended; read as text it has.
    cut_off = " ".join("bcdefghijk")
    path = tmp_path / "rankings.jsonl"
    write_k_wise(path, [Ranking(prompt, ("a", cut_off), (1, 2)) for prompt in "bcdefghijklm"])
    words = ["--reward.language-model", str(walker), "--epochs", "1", "--reward.members", "1"]
    assert run(capsys, "fit", str(path), "--out", str(tmp_path / "reward"), *words)
    assert run(capsys, "dpo", str(walker), "--data", str(path), "--out", str(tmp_path / "dpo"))


def test_the_longest_possible_prompt_must_fit_the_model(tmp_path: Path, capsys: Capture) -> None:
    env, model, out = "prefrl/Arithmetic-v0", str(tmp_path / "model"), str(tmp_path / "out")
    words = ["--env-kwargs", '{"max_operand": 9}', "--tuning.demonstrations", "20", "--tuning.epochs", "1"]
    run(capsys, "sft", model, "--env", env, *words)
    # The first prompt drawn is one of two digits.
    words = ["--env", env, "--env-kwargs", '{"max_operand": 10}', "--out", out]
    complaint = error_of(capsys, "grpo", model, *words)
    assert "prompts have up to 6 tokens and responses up to 3; the model takes 8 in all" in complaint


def test_texts_that_are_too_long_are_refused_or_left_out(
    short_walker: Path, some_long: Path, tmp_path: Path, capsys: Capture
) -> None:
    commands = {
        "sft": ["sft", str(tmp_path / "sft"), "--model", str(short_walker), "--data", str(some_long)],
        "dpo": ["dpo", str(short_walker), "--data", str(some_long), "--out", str(tmp_path / "dpo")],
    }
    for command in commands.values():
        assert "the model takes 9; leave such texts out with --skip-long" in error_of(capsys, *command)
    words = ["--skip-long", "--validation-fraction", "0"]
    found = {name: run(capsys, *command, *words)[0] for name, command in commands.items()}
    # A ranking is as long as its longest response, a demonstration as its best.
    assert (found["sft"]["demonstrations"], found["sft"]["left_out"]) == (18, 2)
    assert (found["dpo"]["rankings"], found["dpo"]["left_out"]) == (14, 6)


def test_a_file_of_only_long_texts_is_refused_with_skip_long(
    short_walker: Path, tmp_path: Path, capsys: Capture
) -> None:
    data, out = tmp_path / "long.jsonl", str(tmp_path / "out")
    write_k_wise(data, [Ranking("b", ("c d e f g h i a", "c"), (1, 2))])
    words = ["--data", str(data), "--skip-long", "--validation-fraction", "0"]
    assert "than the model takes, 9" in error_of(capsys, "sft", out, "--model", str(short_walker), *words)
    assert "than the model takes, 9" in error_of(capsys, "dpo", str(short_walker), "--out", out, *words)
    words = ["--out", out, "--reward.language-model", str(short_walker), "--skip-long"]
    assert "1 rankings with a text that is too long" in error_of(capsys, "fit", str(data), *words)


def test_rankings_of_different_sizes_are_split_into_pairs(
    walker: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = tmp_path / "mixed.jsonl"
    rankings = [
        Ranking("b", ("c a", "d", "e"), (1, 2, 2)),
        *(Ranking("c", ("a", "b"), (2, 1)), Ranking("d", ("f", "a", "g"), (3, 1, 2))),
    ]
    write_k_wise(data, rankings)
    words = ["--validation-fraction", "0", "--dpo.epochs", "60", "--dpo.learning-rate", "1e-3"]
    (found,) = run(capsys, "dpo", str(walker), "--data", str(data), "--out", str(tmp_path / "dpo"), *words)
    assert (found["rankings"], found["left_out"], found["validation"]) == (3, 0, None)
    assert found["train"]["accuracy"] == 1.0


def test_every_command_that_reads_rankings_has_odd_rows_and_criterion(
    walker: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = tmp_path / "scored.jsonl"
    row = {"prompt": "c", "responses": ["a", "b a"], "scores": {"short": [1, 0], "long": [0, 1]}}
    rows = [{**row, "prompt": prompt} for prompt in "bcdefghijklm"]
    rows.append({**row, "responses": ["a", "a"]})
    data.write_text("".join(json.dumps(each) + "\n" for each in rows))
    commands = [
        ["sft", str(tmp_path / "sft"), "--model", str(walker), "--data", str(data)],
        ["dpo", str(walker), "--data", str(data), "--out", str(tmp_path / "dpo")],
        ["fit", str(data), "--out", str(tmp_path / "fit"), "--reward.language-model", str(walker)],
    ]
    for command in commands:
        assert "(--criterion)" in error_of(capsys, *command)
        assert "(--odd-rows skip)" in error_of(capsys, *command, "--criterion", "short")
        assert main([*command, "--criterion", "short", "--odd-rows", "skip"]) == 0
        assert "1 of its rows or prompts rank nothing, beside 12 rankings" in capsys.readouterr().err


def test_win_rate_by_hand() -> None:
    # Better, worse, equal, better: 2.5 of 4.
    share, (low, high) = win_rate(np.array([1.0, 0, 2, 3]), np.array([0.0, 1, 2, 1]))
    assert share == 0.625
    # Of 1, 0, .5, 1 the deviation is sqrt(.6875 / 3) = .4787; 1.96 of it over 2 is .4691.
    assert (low, high) == (pytest.approx(0.1559, abs=1e-3), 1.0)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sft", "OUT"], "nothing to learn from; give a task by --env"),
        (["sft", "OUT", "--env", "CartPole-v1"], "is not a text environment"),
        (["sft", "OUT", "--env", WALKS, "--model", "huge"], "cannot be loaded as a causal language model"),
        (["sft", "OUT", "--env", WALKS, "--tuning.epochs", "0"], "epochs is 0"),
        (["generate", "WALKER"], "nothing to respond to"),
        (
            ["generate", "WALKER", "--prompt", "a", "--best-of", "4"],
            "needs a reward to choose by; give a --reward",
        ),
        (["generate", "WALKER", "--prompt", "a", "--best-of", "0"], "--best-of is 0"),
        (["generate", "WALKER", "--prompt", "a", "--device", "gpu"], "--device is 'gpu'"),
        (["generate", "WALKER", "--prompt", "a", "--env-kwargs", '{"a": 1}'], "name one by --env"),
        (["generate", "WALKER", "--env", WALKS, "--env-kwargs", "[1]"], "not a JSON object"),
        (["generate", "WALKER", "--prompt", "zz"], "word 'zz'"),
        (["generate", "WALKER", "--prompt", ""], "is empty"),
        (["generate", "WALKER", "--prompt", "a b c d e f g", "--max-new-tokens", "6"], "takes 12 in all"),
        (["generate", "tiny", "--prompt", "a"], "needs a tokenizer; name a task by --env"),
        (["sft", "BENEATH", "--env", WALKS], "cannot be written"),
        (["sft", "OUT", "--env", WALKS, "--validation-fraction", "1"], "--validation-fraction is 1.0"),
        (["dpo", "WALKER", "--data", "RANKED", "--out", "OUT", "--device", "tpu"], "--device is 'tpu'"),
        (["fit", "RANKED", "--out", "OUT", "--criterion", "truth"], "field 'scores' is missing"),
        (["grpo", "WALKER", "--env", WALKS, "--out", "OUT", "--reward", "NOTHING"], "NOTHING"),
        (["compare", "WALKER", "NOBODY", "--env", WALKS], "NOBODY cannot be loaded"),
        (["dpo", "WALKER", "--data", "NOTHING", "--out", "OUT"], "NOTHING"),
        (["dpo", "WALKER", "--data", "TIES", "--out", "OUT"], "holds only ties, and nothing can be learned"),
        (["fit", "TIES", "--out", "OUT"], "holds only ties, and nothing can be learned"),
        (["fit", "RANKED", "--out", "OUT", "--reward.loss", "regression"], "all of them are 0"),
        (["grpo", "WALKER", "--env", WALKS, "--out", "WALKER"], "which already exists"),
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
    names["BENEATH"] = str(ties / "out")
    try:
        status = main([names.get(word, word) for word in words])
    except SystemExit as error:
        status = int(error.code or 0)
    assert status in (1, 2)
    assert complaint in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
