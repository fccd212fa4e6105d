"""Words that no command can act on: refused at once, with the nearest right ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRAIN_WORDS: list[tuple[list[str], list[str], int]] = [
    (["pendulun"], ["no preset is called 'pendulun'", "did you mean pendulum"], 1),
    (["xyzzy"], ["no preset is called 'xyzzy'", "there are pendulum"], 1),
    (["--env", "Pendulm-v1"], ["'Pendulm-v1'", "did you mean Pendulum-v1"], 1),
    (["--env", "CartPole-v77"], ["'CartPole-v77'", "did you mean CartPole-v1"], 1),
    (["--env", "Zzz-v0"], ["'Zzz-v0'", "MODULE:Name-v0"], 1),
    (["--env", "no_such_module:Env-v0"], ["no_such_module", "not installed"], 1),
    (["--env", "not an id"], ["'not an id'"], 1),
    (["--env", ""], ["environment"], 1),
    (["pendulum", "--labls", "3"], ["--labls", "--labels"], 2),
    (["pendulum", "--steps", "many"], ["--steps", "many"], 2),
    (["pendulum", "--labels"], ["--labels"], 2),
    (["pendulum", "--oracle", "robot"], ["oracle.kind", "robot", "synthetic", "human"], 1),
    (["pendulum", "--teacher", "bad"], ["no teacher 'bad'", "myopic"], 1),
    (["pendulum", "--queries.sampler", "entrop"], ["queries.sampler", "did you mean 'entropy'"], 1),
    (["pendulum", "--reward.loss", "hinge"], ["reward.loss", "'hinge'", "margin"], 1),
    (["pendulum", "--runtime.launcher", "ray"], ["ray", "serial"], 2),
    (["pendulum", "--agent.algorithm", "trpo"], ["trpo", "ppo"], 1),
    (["pendulum", "cartpole"], ["cartpole"], 2),
    (["pendulum", "--env.kwargs", "{g: 1}"], ["--env.kwargs", "{g: 1}", "JSON"], 2),
    (["pendulum", "--env.kwargs", "[1]"], ["[1]", "JSON object"], 2),
    (["pendulum", "--env.kwargs", '{"g": NaN}'], ["env.kwargs", "finite"], 1),
    (["pendulum", "--env.kwargs", '{"bogus": 1}'], ["'Pendulum-v1'", "'bogus'"], 1),
    (
        ["pendulum", "--agent.hyperparameters", "n_steps=3"],
        ["--agent.hyperparameters", "n_steps=3", "JSON"],
        2,
    ),
    (["pendulum", "--agent.hyperparameters", '{"n_stepz": 3}'], ["n_stepz", "n_steps"], 1),
    (["pendulum", "--agent.hyperparameters", '{"n_steps": "64"}'], ["ppo", "'64'"], 1),
    (["pendulum", "--agent.hyperparameters", '{"n_steps": 0}'], ["ppo", "n_steps"], 1),
    (["pendulum", "--agent.hyperparameters", '{"learning_rate": -1}'], ["ppo", "learning rate", "-1"], 1),
    (["pendulum", "--agent.hyperparameters", '{"learning_rate": "fast"}'], ["'fast'", "lin_"], 1),
    (["pendulum", "--agent.hyperparameters", '{"device": "gpu9"}'], ["gpu9"], 1),
    (
        ["pendulum", "--agent.hyperparameters", '{"policy_kwargs": {"activation_fn": "sine"}}'],
        ["'sine'", "relu"],
        1,
    ),
    (["pendulum", "--agent.policy", "FooPolicy"], ["FooPolicy", "unknown"], 1),
    (["pendulum", "--agent.algorithm", "dqn"], ["dqn needs Discrete actions", "use ppo or a2c"], 1),
    (["cartpole", "--agent.algorithm", "sac"], ["sac needs Box actions", "Discrete(2)", "use ppo or a2c"], 1),
    (["pendulum", "--reward.network", "cnn"], ["reward.network is 'cnn'", "use auto or mlp"], 1),
]


@pytest.mark.filterwarnings("ignore:.*out of date:UserWarning", "ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize(("words", "said", "status"), TRAIN_WORDS)
def test_train_refuses_and_makes_nothing(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    tmp_path: Path,
    words: list[str],
    said: list[str],
    status: int,
) -> None:
    prefrl("train", *words, "--run", tmp_path / "run").refuses(*said, status=status)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], ["'trian'", "did you mean `prefrl train`?"]),
        (["xyzzy"], ["'xyzzy'", "see `prefrl --help`"]),
        (["--labels", "3"], ["'--labels'", "see `prefrl --help`"]),
        (["presets", "pendulum"], ["pendulum"]),
        (["status"], ["run directory"]),
        (["resume"], ["run directory"]),
        (["eval", "RUN", "--episodes", "few"], ["--episodes", "few"]),
        (["watch", "RUN", "--speed", "3"], ["--speed"]),
        (["fit", "RUN"], ["--out"]),
        (["export", "RUN"], ["new folder to write"]),
        (["import", "FOLDER"], ["run directory"]),
    ],
)
def test_words_that_no_command_takes(prefrl: Callable[..., Any], words: list[str], said: list[str]) -> None:
    prefrl(*words).refuses(*said, status=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "--episodes", "0"], "--episodes is 0; at least 1"),
        (["eval", "--seed", "-1"], "--seed is -1"),
        (["watch", "--episodes", "0"], "--episodes is 0; at least 1"),
        (["watch", "--steps", "-1"], "--steps is -1; at least 1"),
        (["watch", "--fps", "0"], "--fps is 0.0"),
        (["watch", "--seed", "-1"], "--seed is -1; 0 or more"),
        (["watch", "--gif", "film.mp4"], "name it FILE.gif"),
        (["watch", "--gif", "none/film.gif"], "does not exist"),
        (["fit", "--out", "out", "--epochs", "0"], "--epochs is 0; at least 1"),
        (["fit", "--out", "out", "--seed", "-1"], "seed is -1; 0 to"),
        (["fit", "--out", "out", "--reward.members", "0"], "reward.members is 0"),
        (["fit", "--out", "out", "--reward.std", "-1"], "reward.std is -1.0"),
        (["fit", "--out", "out", "--reward.hidden", "0"], "reward.hidden is (0,)"),
        (["fit", "--out", "out", "--reward.label-noise", "1"], "reward.label_noise is 1.0"),
        (["fit", "--out", "out", "--reward.last-labels", "0"], "reward.last_labels is 0"),
        (["fit", "--out", "out", "--reward.network", "cnn"], "cnn"),
    ],
)
def test_numbers_that_a_command_on_a_run_cannot_use(
    prefrl: Callable[..., Any],
    trained: Any,
    contents: Callable[[Path], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    prefrl(words[0], trained.path, *words[1:]).refuses(said)
    assert contents(tmp_path) == before
