"""The run directory: making, finding, and its settings."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from prefrl.config import EnvConfig, OracleConfig, RunConfig, TeacherConfig, to_json
from prefrl.data.spaces import SpaceSpec
from prefrl.storage.durable import write_json_atomic
from prefrl.storage.run_dir import RunDir, RunDirError

ROOT = Path(__file__).parents[2]
CONFIG = RunConfig(env=EnvConfig("CartPole-v1", {"max_episode_steps": 100}), labels=50)


@pytest.mark.parametrize("config", [CONFIG, RunConfig(oracle=OracleConfig("human", TeacherConfig(beta=2.0)))])
def test_a_new_run_is_found_again(tmp_path: Path, config: RunConfig) -> None:
    run = RunDir.create(tmp_path / "runs" / "first", config)

    assert RunDir.open(run.path).config() == config
    assert all(folder.is_dir() for folder in (run.reward, run.agent, run.logs, run.tensorboard))
    assert sorted(path.name for path in run.path.iterdir()) == [
        "agent",
        "config.json",
        "logs",
        "reward",
        "tensorboard",
    ]


def test_the_same_run_again_points_to_resume(tmp_path: Path) -> None:
    RunDir.create(tmp_path, CONFIG)
    with pytest.raises(RunDirError, match=f"prefrl resume {tmp_path}"):
        RunDir.create(tmp_path, CONFIG)


def test_settings_at_their_default_may_be_missing_from_an_older_run(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    data = json.loads(run.config_file.read_text())
    del data["seed"]
    write_json_atomic(run.config_file, data)
    with pytest.raises(RunDirError, match="prefrl resume"):
        RunDir.create(tmp_path, CONFIG)


def test_another_run_names_the_first_settings_that_differ(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    before = run.config_file.read_bytes()
    env = EnvConfig("CartPole-v1", {"max_episode_steps": 200}, num_envs=4)
    other = dataclasses.replace(CONFIG, env=env, labels=60, seed=3)
    with pytest.raises(RunDirError) as caught:
        RunDir.create(tmp_path, other)

    assert "env.kwargs.max_episode_steps is 100 there, 200 here" in str(caught.value)
    assert "labels is 50 there, 60 here (and 1 more)" in str(caught.value)
    assert run.config_file.read_bytes() == before


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "thesis.tex").touch()
    with pytest.raises(RunDirError, match="not empty and no run directory"):
        RunDir.create(tmp_path, CONFIG)
    with pytest.raises(RunDirError, match=r"has no config\.json.*prefrl train PRESET"):
        RunDir.open(tmp_path)


def test_what_a_creator_killed_early_leaves_is_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / "reward").mkdir()
    (tmp_path / ".4711-config.json").write_text("{")
    assert RunDir.create(tmp_path, CONFIG).config() == CONFIG


def test_a_path_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match="cannot be made"):
        RunDir.create(tmp_path / "file" / "run", CONFIG)
    with pytest.raises(RunDirError, match="cannot be made"):
        RunDir.create(tmp_path / "file", CONFIG)


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RunDirError, match=r"config\.json cannot be written \(Permission denied\)"):
        RunDir.create(tmp_path, CONFIG)


def test_a_missing_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="does not exist"):
        RunDir.open(tmp_path / "none")


@pytest.mark.parametrize("text", ["{", "[]", '{"labels": "many"}', '{"lables": 3}', '{"env": 3}'])
def test_a_config_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    run.config_file.write_text(text)
    with pytest.raises(RunDirError, match=r"config\.json"):
        run.config()


FIRST_RELEASE = json.loads(Path(__file__).with_name("configs_of_first_release.json").read_text())


@pytest.mark.parametrize("name", FIRST_RELEASE)
def test_settings_of_the_first_release_are_read_as_they_were(tmp_path: Path, name: str) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    run.config_file.write_text(json.dumps(FIRST_RELEASE[name]))
    read = to_json(RunDir.open(tmp_path).config())
    assert settings_in(FIRST_RELEASE[name], read) == FIRST_RELEASE[name]


def settings_in(wanted: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The settings of ``config`` that ``wanted`` names; those added since are left out."""
    return {
        name: settings_in(value, config[name]) if isinstance(value, dict) and value else config[name]
        for name, value in wanted.items()
    }


def test_settings_that_are_unknown_here_name_the_way_to_take_the_comparisons_along(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    run.config_file.write_text('{"gone": 3}')
    with pytest.raises(RunDirError, match=rf"unknown settings \['gone'\].*prefrl export {tmp_path} FOLDER"):
        run.config()


def test_specs_come_back(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    with pytest.raises(RunDirError, match=r"spaces\.json cannot be read"):
        run.specs()
    observation = SpaceSpec.of(gym.spaces.Dict(a=gym.spaces.Discrete(3), b=gym.spaces.Box(0, 1, (2, 2))))
    action = SpaceSpec.of(gym.spaces.MultiDiscrete([2, 3]))
    run.write_specs(observation, action)

    assert RunDir.open(tmp_path).specs() == (observation, action)
    run.spaces.write_text('{"observation": {}}')
    with pytest.raises(RunDirError, match="two spaces"):
        run.specs()
