"""The run directory: making, finding, appending, publishing."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

import prefrl.storage.run_dir
from prefrl.config import EnvConfig, OracleConfig, RunConfig, TeacherConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.storage.run_dir import (
    RunDir,
    RunDirError,
    latest_version,
    publish_version,
    read_metrics,
    write_json_atomic,
)

ROOT = Path(__file__).parents[2]
CONFIG = RunConfig(env=EnvConfig("CartPole-v1", {"max_episode_steps": 100}), labels=50)


def publish(folder: Path, version: int, text: str = "weights", keep: int = 5) -> Path:
    def write(path: Path) -> None:
        path.write_text(f"{text} {version}")

    return publish_version(folder, version, write, keep)


# Making and finding


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


# Writing


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_json_atomic(path, {"labels": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(path, {"labels": math.nan})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunDirError, match="No space left"):
        write_json_atomic(path, {"labels": 2})
    assert json.loads(path.read_text()) == {"labels": 1}


def test_metrics_are_read_on_from_where_one_was(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    assert read_metrics(run.metrics) == ([], 0)
    run.append_metrics({"step": 1, "loss": 0.5})
    run.append_metrics({"step": 2, "loss": math.inf, "who": "agent"})

    records, offset = read_metrics(run.metrics)
    assert records == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None, "who": "agent"}]
    assert read_metrics(run.metrics, offset) == ([], offset)
    run.append_metrics({"step": 3})
    assert read_metrics(run.metrics, offset)[0] == [{"step": 3}]


def test_half_written_metrics_are_waited_for_or_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st')
    records, offset = read_metrics(path)
    assert (records, offset) == ([{"step": 1}], len('{"step": 1}\n'))

    with path.open("a") as file:
        file.write('ep": 2}\n{"ste{"step": 3}\n7\n{"step": 4}\n')
    assert read_metrics(path, offset)[0] == [{"step": 2}, {"step": 4}]


def test_processes_append_whole_lines(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    code = (
        "import sys; from prefrl.storage.run_dir import RunDir; run = RunDir.open(sys.argv[1])\n"
        "for step in range(300): run.append_metrics({'who': sys.argv[2], 'step': step, 'pad': 'x' * step})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(run.path), name], env=environment) for name in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]

    records, _ = read_metrics(run.metrics)
    for name in "ab":
        assert [record["step"] for record in records if record["who"] == name] == list(range(300))


# Publishing


def test_the_latest_version_is_found_and_old_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "reward"
    assert latest_version(folder) is None
    for version in range(1, 8):
        assert publish(folder, version, keep=3) == folder / f"{version:06d}.safetensors"
        assert latest_version(folder) == (version, folder / f"{version:06d}.safetensors")

    assert sorted(path.stem for path in folder.glob("*.safetensors")) == ["000005", "000006", "000007"]
    assert (folder / "000007.safetensors").read_text() == "weights 7"
    assert latest_version(folder, newer_than=6) == (7, folder / "000007.safetensors")
    assert latest_version(folder, newer_than=7) is None


def test_other_files_and_the_seventh_digit_are_kept_in_mind(tmp_path: Path) -> None:
    trainer = tmp_path / "trainer.safetensors"
    trainer.touch()
    for version in (999_998, 999_999, 1_000_000):
        publish(tmp_path, version, keep=2)

    assert trainer.exists()
    assert not (tmp_path / "999998.safetensors").exists()
    assert latest_version(tmp_path) == (1_000_000, tmp_path / "1000000.safetensors")


def test_versions_only_go_up(tmp_path: Path) -> None:
    publish(tmp_path, 5)
    for version in (5, 4):
        with pytest.raises(RunDirError, match=f"version {version} is not newer than version 5"):
            publish(tmp_path, version, "other")
    assert latest_version(tmp_path) == (5, tmp_path / "000005.safetensors")


def test_a_publisher_may_be_killed_at_any_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Nothing cleans up after it."""

    def die(*_: object) -> None:
        raise Killed

    publish(tmp_path, 1)
    for name in ("_sha256", "_replace_durably", "write_json_atomic"):
        with monkeypatch.context() as patch:
            patch.setattr(prefrl.storage.run_dir, name, die)
            with pytest.raises(Killed):
                publish(tmp_path, 2, "lost")
        assert latest_version(tmp_path) == (1, tmp_path / "000001.safetensors")

    (tmp_path / ".4711-000002.safetensors").touch()
    publish(tmp_path, 2)
    assert (tmp_path / "000002.safetensors").read_text() == "weights 2"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000001.safetensors",
        "000002.safetensors",
        "latest.json",
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("weigh"), "is not what was published"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: (path.parent / "latest.json").write_text("{"), "is not JSON"),
        (lambda path: (path.parent / "latest.json").write_text("{}"), "does not name a version"),
    ],
)
def test_damaged_versions_are_told(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = publish(tmp_path, 1)
    damage(path)
    with pytest.raises(RunDirError, match=message):
        latest_version(tmp_path)


def test_a_version_deleted_while_it_is_read_gives_way_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 1)
    digest = prefrl.storage.run_dir._sha256

    def overtaken(path: Path) -> str:
        monkeypatch.setattr(prefrl.storage.run_dir, "_sha256", digest)
        publish(tmp_path, 2, keep=1)
        return digest(path)

    monkeypatch.setattr(prefrl.storage.run_dir, "_sha256", overtaken)
    assert latest_version(tmp_path) == (2, tmp_path / "000002.safetensors")


def test_a_folder_that_cannot_be_published_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match="cannot be published"):
        publish(tmp_path / "file", 1)
