"""Whole runs on texts: the same loop, store and workers as for clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.cli import main
from prefrl.data.tokens import complete, prompt_key
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir
from prefrl.text.rankings import load_rankings
from prefrl_envs.text.random_walks import RandomWalks

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]
SMALL = [
    *(
        "--launcher",
        "serial",
        "--steps",
        "5120",
        "--labels",
        "40",
        "--eval-episodes",
        "20",
        "--env.num-envs",
        "32",
    ),
    *("--agent.fine-tuning.demonstrations", "1500", "--agent.fine-tuning.learning-rate", "3e-3"),
    *("--reward.initial-epochs", "3", "--reward.members", "2"),
]


def train(run: Path, *words: str) -> RunDir:
    assert main(["train", "text-walks", *SMALL, "--run", str(run), *words]) == 0
    return RunDir.open(run)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return train(tmp_path_factory.mktemp("runs") / "walks")


def test_labels_and_steps_are_those_asked_for(trained: RunDir) -> None:
    result = json.loads(trained.result.read_text())
    assert (result["labels"], result["steps"]) == (40, 5120)
    assert 0 <= result["true_return_mean"] <= 1
    assert result["optimal_return"] == 1.0
    assert result["reward_version"] > 1


def test_every_query_ranks_responses_to_one_prompt(trained: RunDir) -> None:
    with Store.open(trained.store) as store:
        labelled = store.labelled()
    assert len(labelled) == 40
    for item in labelled:
        keys = {prompt_key(segment.observations[-1]) for segment in item.query.segments}
        assert (len(item.query.segments), len(keys)) == (4, 1)


def test_a_segment_is_a_whole_response_with_its_reward(trained: RunDir) -> None:
    with Store.open(trained.store) as store:
        segments = store.segments([entry.id for entry in store.pool(50)])
    spec, _ = trained.specs()
    for segment in segments:
        assert len(segment) == 1
        (ids,), (length,), (prompt,) = complete(segment.observations, segment.actions)
        response = ids[prompt:length]
        assert response[-1] == spec.eos_id or len(response) == spec.max_new_tokens
        assert spec.eos_id not in response[:-1]
    assert len({segment.true_return for segment in segments}) > 1


def test_answers_follow_the_true_reward(trained: RunDir) -> None:
    with Store.open(trained.store) as store:
        for item in store.labelled():
            returns = [segment.true_return for segment in item.query.segments]
            expected = np.unique(-np.array(returns), return_inverse=True)[1] + 1
            assert item.comparison.ranks == tuple(expected.tolist())


def test_task_reward_and_kl_are_in_the_metrics(trained: RunDir) -> None:
    records, _ = read_metrics(trained.metrics)
    found = [record for record in records if "rollout/kl" in record]
    assert found
    assert {"rollout/task_reward", "rollout/total_reward", "train/entropy"} <= found[-1].keys()


def test_the_same_seed_gives_the_same_run(trained: RunDir, tmp_path: Path) -> None:
    again = train(tmp_path / "again")
    ours, theirs = (json.loads(run.result.read_text()) for run in (trained, again))
    same = ("true_return_mean", "reward_accuracy_validation", "reward_version")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


def test_models_of_a_run_respond_and_are_looked_after(trained: RunDir, capsys: Capture) -> None:
    assert main(["generate", str(trained.path), "--env", "prefrl/RandomWalks-v0", "--count", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    status = main(["doctor", str(trained.path)])
    printed = capsys.readouterr().out
    assert "fine  acting and learning agree" in printed
    assert "fine  padding is not the end" in printed
    assert status == int("wrong" in printed)


def test_rankings_teach_the_policy_of_a_run_directly(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"learning_rate": 1e-3, "beta": 0.2}
    words = ["--agent.algorithm", "online_dpo", "--agent.hyperparameters", json.dumps(settings)]
    run = train(tmp_path / "dpo", *words)
    records, _ = read_metrics(run.metrics)
    learned = [record["train/rankings"] for record in records if "train/rankings" in record]
    with Store.open(run.store) as store:
        told = sum(len(set(item.comparison.ranks or ())) > 1 for item in store.labelled())
    assert learned[-1] == told > 0


def test_the_reward_can_be_fitted_anew_from_the_saved_rankings(
    trained: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    capsys.readouterr()
    assert (
        main(["fit", str(trained.path), "--out", str(tmp_path / "reward"), "--epochs", "2", "--folds", "2"])
        == 0
    )
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["labels"] == 40
    assert found["pairs_cross_validated"] > 20


def test_answers_are_exported_in_words(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["export", str(trained.path), str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    rankings = load_rankings(tmp_path / "out" / "rankings.jsonl")
    assert printed["rankings"] == len(rankings) == 40 - printed["rankings_left_out"]
    assert len(rankings) > 30
    task = RandomWalks()
    for ranking in rankings:
        rewards = task.reward([ranking.prompt] * 4, ranking.responses)
        expected = np.unique(-rewards, return_inverse=True)[1] + 1
        assert ranking.ranks == tuple(expected.tolist())
        assert ranking.source == "synthetic"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--agent.algorithm", "dqn", "--agent.hyperparameters", "{}"], "dqn, which is not for texts"),
        (["--reward.network", "mlp"], "lm"),
        (["--agent.hyperparameters", '{"kl_estimator": "k9"}'], "kl_estimator is 'k9'"),
        (["--agent.hyperparameters", '{"policy_kwargs": {"model": "huge"}}'], "huge"),
        (["--env.num-envs", "30"], "a multiple of 4 is needed"),
    ],
)
def test_settings_that_make_no_sense_for_texts_are_refused(
    words: list[str], complaint: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["train", "text-walks", *SMALL, *words, "--run", str(tmp_path / "run")]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_for_texts_are_refused_where_there_are_none(tmp_path: Path, capsys: Capture) -> None:
    assert (
        main(["train", "moving-dot", "--agent.algorithm", "token_ppo", "--run", str(tmp_path / "run")]) == 1
    )
    assert "agent.algorithm is token_ppo, which is for texts" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def _own(gpt2: Path, folder: Path, **settings: Any) -> list[str]:
    """Words of a run of one's own checkpoint on one's own prompts."""
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(12)))
    kwargs = {"prompts": str(prompts), "tokenizer": str(gpt2), "max_new_tokens": 8} | settings
    models = ["--agent.language-model", str(gpt2), "--reward.language-model", str(gpt2)]
    return [
        "train",
        "text-prompts",
        "--env.kwargs",
        json.dumps(kwargs),
        *models,
        "--run",
        str(folder / "run"),
    ]


def short(prompts: list[str], responses: list[str]) -> list[int]:
    """What the teacher of the next test likes."""
    return [-len(response) for response in responses]


@pytest.mark.parametrize("hyperparameters", [{}, {"policy_kwargs": {"lora_rank": 2}}], ids=["whole", "lora"])
def test_a_checkpoint_goes_through_a_run(
    gpt2: Path, tmp_path: Path, hyperparameters: dict[str, Any], capsys: Capture
) -> None:
    words = ["--launcher", "serial", "--oracle", "synthetic", "--steps", "768", "--labels", "12"]
    words += ["--agent.hyperparameters", json.dumps(hyperparameters), "--eval-episodes", "8"]
    words += ["--queries.batch", "6", "--reward.initial-epochs", "2"]
    assert main([*_own(gpt2, tmp_path, reward=f"{__name__}:short"), *words]) == 0
    run = RunDir.open(tmp_path / "run")
    result = json.loads(run.result.read_text())
    assert (result["labels"], result["steps"]) == (12, 768)
    assert result["true_return_mean"] < 0
    capsys.readouterr()
    words = ["generate", str(run.path), "--prompt", "Question 3?", "--count", "2", "--max-new-tokens", "4"]
    # The run names a function that judges, whose module would be imported.
    assert main(words) == 1
    assert "pass --trust" in capsys.readouterr().err
    assert main([*words, "--trust"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--oracle", "synthetic"], "has no true reward to answer by"),
        (["--oracle", "mixed", "--no-viewer"], "has no true reward to answer by"),
        (["--agent.fine-tuning.demonstrations", "5", "--no-viewer"], "has no demonstrations"),
        (["--agent.language-model", "NOBODY", "--no-viewer"], "NOBODY"),
        (["--reward.language-model", "NOBODY", "--no-viewer"], "NOBODY"),
    ],
)
def test_what_a_run_cannot_do_is_said_before_any_work(
    gpt2: Path, tmp_path: Path, words: list[str], complaint: str, capsys: Capture
) -> None:
    assert main([*_own(gpt2, tmp_path), *words]) != 0
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
