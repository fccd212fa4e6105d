"""Each extra without the others: its commands work, those of the others name the one that they need.

The modules of packages that prefrl with that extra does not pull in are hidden from the process.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]

SERIAL = ("--launcher", "serial", "--eval-episodes", "1", "--run", "run")
PPO = ("--agent.hyperparameters", '{"n_steps": 50, "batch_size": 50, "n_epochs": 1}')
SMALL = (
    *PPO,
    "--steps",
    "100",
    "--labels",
    "2",
    "--queries.segment-steps",
    "5",
    "--env.num-envs",
    "1",
    *SERIAL,
)
PENDULUM = ("train", "pendulum", "--steps", "2000", "--labels", "6", *SERIAL)
TRAINED = {
    "atari": ("train", "--env", "prefrl/Pong-v0", *SMALL),
    "mujoco": ("train", "--env", "Hopper-v5", *SMALL),
    "text": ("train", "text-walks", "--steps", "400", "--labels", "12", *SERIAL),
}
"""what cannot be trained without the extra, by extra"""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _needed(name: str, extras: Iterable[str], found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Adds the packages, each with one of its extras or "", that ``name`` with ``extras`` pulls in."""
    for extra in ("", *extras):
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for each in map(Requirement, lines):
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                _needed(_canonical(each.name), each.extras, found)
    return found


def _hidden(*extras: str) -> tuple[list[str], list[str]]:
    """What prefrl with ``extras`` does not pull in: names of modules, and of the installed packages they are of."""
    needed = {name for name, _ in _needed("prefrl", extras, set())}
    owners = importlib.metadata.packages_distributions()
    modules = [name for name, of in owners.items() if not needed & set(map(_canonical, of))]
    packages = {package for of in owners.values() for package in of if _canonical(package) not in needed}
    return modules, sorted(packages)


@pytest.fixture
def prefrl(run: Run) -> Callable[..., CompletedProcess[str]]:
    """Runs a command of prefrl with some extras installed and no others."""
    script = str(Path(__file__).with_name("only_extra.py"))

    def start(extras: tuple[str, ...], *words: str, status: int = 0) -> CompletedProcess[str]:
        return run(sys.executable, script, *map(json.dumps, _hidden(*extras)), *words, status=status)

    return start


def test_what_is_hidden_is_what_the_extra_does_not_bring() -> None:
    optional = {"ale_py", "cv2", "matplotlib", "mujoco", "peft", "pygame", "pytest", "transformers"}
    modules, packages = map(set, _hidden())
    assert optional <= modules
    assert not {"torch", "numpy", "gymnasium", "prefrl", "tyro"} & modules
    assert {"ale-py", "opencv-python-headless", "pygame-ce"} <= set(map(_canonical, packages))
    assert optional - set(_hidden("atari")[0]) == {"ale_py", "cv2"}


def test_without_any_extra_an_agent_is_trained_evaluated_and_exported(prefrl: Run) -> None:
    prefrl((), *PENDULUM)
    prefrl((), "status", "run")
    prefrl((), "annotators", "run")
    prefrl((), "eval", "run", "--episodes", "1")
    prefrl((), "export", "run", "out")
    prefrl((), "fit", "out", "--out", "reward", "--epochs", "1")


@pytest.mark.parametrize("extra", TRAINED)
def test_an_extra_alone_is_enough_to_train_in_its_environments(prefrl: Run, extra: str) -> None:
    result = json.loads(prefrl((extra,), *TRAINED[extra]).stdout.splitlines()[-1])
    assert result["labels"] in (2, 12)


def test_the_extra_human_alone_draws_an_agent_and_opens_the_window(prefrl: Run, tmp_path: Path) -> None:
    prefrl(("human",), *PENDULUM)
    prefrl(("human",), "watch", "run", "--gif", "agent.gif", "--steps", "20")
    assert (tmp_path / "agent.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.parametrize("extra", TRAINED)
def test_training_without_an_extra_names_that_extra_and_makes_no_run(
    prefrl: Run, extra: str, tmp_path: Path
) -> None:
    others = tuple({"atari", "mujoco", "human", "text", "plots"} - {extra})
    said = prefrl(others, *TRAINED[extra], status=1).stderr
    assert _extras_named(said) == [extra]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("watch", "run"),
        ("play", "pendulum"),
        ("train", "pendulum-spin", "--oracle", "human", "--run", "other"),
    ],
    ids=lambda words: words[0],
)
def test_a_window_without_its_extra_names_that_extra(prefrl: Run, words: tuple[str, ...]) -> None:
    prefrl((), *PENDULUM)
    others = ("atari", "mujoco", "text", "plots")
    assert _extras_named(prefrl(others, *words, status=1).stderr) == ["human"]


def _extras_named(said: str) -> list[str]:
    assert len(said.strip().splitlines()) == 1, said
    return re.findall(r'pip install -e "\.\[(\w+)\]"', said)
