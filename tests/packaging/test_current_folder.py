"""Modules of one's own beside which prefrl is started, by every form of starting it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]

MY_ENV = """
import gymnasium as gym

class My(gym.Wrapper):
    def __init__(self):
        super().__init__(gym.make("Pendulum-v1"))

gym.register("My-v0", My)
"""
MY_REWARDS = """
def score(prompts, responses):
    return [float(len(response)) for response in responses]
"""
SMALL = ("--steps", "500", "--labels", "4", "--env.num-envs", "2", "--eval-episodes", "1", "--run", "run")


@pytest.mark.parametrize(
    ("form", "launcher"),
    [
        ("prefrl", "serial"),
        ("prefrl", "processes"),
        ("python -m prefrl", "serial"),
        ("python -m prefrl", "processes"),
        ("python -m prefrl.cli", "serial"),
    ],
)
def test_an_environment_in_the_current_folder_is_trained_in(
    run: Run, console_script: str, tmp_path: Path, form: str, launcher: str
) -> None:
    (tmp_path / "my_env.py").write_text(MY_ENV)
    start = (console_script,) if form == "prefrl" else (sys.executable, *form.split()[1:])
    words = ("train", "--env", "my_env:My-v0", *SMALL, "--launcher", launcher)
    assert json.loads(run(*start, *words).stdout.splitlines()[-1])["labels"] == 4


@pytest.mark.parametrize("launcher", ["serial", "processes"])
def test_a_reward_function_in_the_current_folder_scores_texts(
    run: Run, console_script: str, tmp_path: Path, gpt2: Path, launcher: str
) -> None:
    (tmp_path / "my_rewards.py").write_text(MY_REWARDS)
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Question 1?"}\n' * 4)
    task = {
        "prompts": "prompts.jsonl",
        "tokenizer": str(gpt2),
        "reward": "my_rewards:score",
        "max_new_tokens": 4,
    }
    words = (
        "train",
        "text-prompts",
        "--oracle",
        "synthetic",
        "--env.kwargs",
        json.dumps(task),
        "--launcher",
        launcher,
    )
    models = ("--agent.language-model", str(gpt2), "--reward.language-model", str(gpt2))
    size = ("--steps", "128", "--labels", "4", "--eval-episodes", "1", "--run", "run")
    assert json.loads(run(console_script, *words, *models, *size).stdout.splitlines()[-1])["labels"] == 4


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no -P for the child processes")
def test_nothing_in_the_current_folder_takes_the_place_of_an_installed_module(
    run: Run, console_script: str, tmp_path: Path
) -> None:
    (tmp_path / "my_env.py").write_text(MY_ENV)
    for name in ("random.py", "torch.py", "gymnasium.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    words = ("train", "--env", "my_env:My-v0", *SMALL)
    assert json.loads(run(console_script, *words).stdout.splitlines()[-1])["labels"] == 4


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no PYTHONSAFEPATH")
def test_a_safe_path_keeps_the_current_folder_out(run: Run, console_script: str, tmp_path: Path) -> None:
    (tmp_path / "my_env.py").write_text(MY_ENV)
    words = ("train", "--env", "my_env:My-v0", *SMALL)
    said = run(console_script, *words, status=1, PYTHONSAFEPATH="1").stderr
    assert "needs a module that is not installed: No module named 'my_env'" in said
    assert not (tmp_path / "run").exists()
