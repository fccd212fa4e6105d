"""``prefrl watch``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from prefrl.cli import main, watch_command
from prefrl.config import EnvConfig, RunConfig
from prefrl.reward import LearnedReward
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import publish_version
from prefrl.viewer import window as window_module
from prefrl.viewer.episodes import EpisodeStep

Capture = pytest.CaptureFixture[str]


class FakeWindow:
    """Collects pictures; counts as closed after ``close_after`` of them."""

    close_after = 10**9
    shown: list[np.ndarray]
    waits_s: list[float]

    def __init__(self, title: str, size: tuple[int, int], way_out: str) -> None:
        FakeWindow.shown, FakeWindow.waits_s = [], []
        self.size = size

    def __enter__(self) -> FakeWindow:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def is_closed(self) -> bool:
        return len(self.shown) >= self.close_after

    def show(self, picture: np.ndarray) -> None:
        assert picture.shape == (self.size[1], self.size[0], 3)
        self.shown.append(picture)
        # Windows can be resized at any time.
        self.size = (self.size[0] - 1, self.size[1] + 1)

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)


@pytest.fixture
def fake_window(monkeypatch: pytest.MonkeyPatch) -> type[FakeWindow]:
    monkeypatch.setattr(FakeWindow, "close_after", 10**9)
    monkeypatch.setattr(window_module, "Window", FakeWindow)
    return FakeWindow


def error_of(words: list[str], capsys: Capture) -> str:
    assert main(["watch", *words]) == 1
    return capsys.readouterr().err


def test_writes_a_gif_of_two_episodes(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "watch.gif"
    assert main(["watch", str(trained.path), "--gif", str(path), "--episodes", "2", "--steps", "7"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in out] == ["episode 1: 7 steps", "episode 2: 7 steps"]
    with Image.open(path) as image:
        assert image.size == (720, 360)
        assert image.info["duration"] == 120  # the environment's 8 frames a second, in hundredths of a second


def test_the_same_seed_shows_the_same_episode(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    outputs = []
    for seed, name in ((5, "a.gif"), (5, "b.gif"), (6, "c.gif")):
        main(
            ["watch", str(trained.path), "--gif", str(tmp_path / name), "--steps", "15", "--seed", str(seed)]
        )
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_the_window_shows_every_step_at_the_requested_rate(
    trained: RunDir, fake_window: type[FakeWindow], capsys: Capture
) -> None:
    assert main(["watch", str(trained.path), "--episodes", "2", "--steps", "3", "--fps", "50"]) == 0
    assert len(fake_window.shown) == 6
    assert fake_window.waits_s == [0.02, 0.02, 0.02, 1.0] * 2


@pytest.mark.slow
def test_without_a_number_of_episodes_the_window_runs_until_it_is_closed(
    trained: RunDir, fake_window: type[FakeWindow], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(fake_window, "close_after", 95)
    assert main(["watch", str(trained.path)]) == 0
    assert len(fake_window.shown) == 95
    assert len(capsys.readouterr().out.splitlines()) == 2  # of 40 steps each


def test_each_episode_uses_the_newest_agent_and_reward(
    trained: RunDir, tmp_path: Path, fake_window: type[FakeWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    shutil.copytree(trained.path, path)
    seen: list[tuple[int, int]] = []

    def run_episode(env: Any, choose: Any, reward: Any, seed: int, steps: int | None) -> Any:
        seen.append((reward.version, seed))
        newer = LearnedReward.load(path)
        newer.version += 1
        publish_version(path / "reward", newer.version, newer.save)
        yield EpisodeStep(np.zeros((4, 4, 3), np.uint8), 0.0, 0.0)

    monkeypatch.setattr("prefrl.viewer.episodes.run_episode", run_episode)
    assert main(["watch", str(path), "--episodes", "2", "--seed", "3"]) == 0
    version = LearnedReward.load(trained.path).version
    assert seen == [(version, 3), (version + 1, 4)]


def test_a_real_window_with_the_dummy_video_driver(
    trained: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(watch_command, "_PAUSE_S", 0.0)
    words = ["watch", str(trained.path), "--episodes", "2", "--steps", "3", "--fps", "1000"]
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_errors_name_the_way_out(
    trained: RunDir, fresh: RunDir, tmp_path: Path, fake_window: type[FakeWindow], capsys: Capture
) -> None:
    run = str(trained.path)
    assert "prefrl train" in error_of([str(tmp_path / "none")], capsys)
    assert "no agent has been saved" in error_of([str(fresh.path)], capsys)
    assert "at least 1" in error_of([run, "--episodes", "0"], capsys)
    assert "at least 1" in error_of([run, "--steps", "0"], capsys)
    assert "above 0" in error_of([run, "--fps", "0"], capsys)
    assert "0 or more" in error_of([run, "--seed", "-1"], capsys)
    assert "FILE.gif" in error_of([run, "--gif", str(tmp_path / "watch.mp4")], capsys)
    assert "does not exist" in error_of([run, "--gif", str(tmp_path / "none" / "watch.gif")], capsys)


def test_a_run_without_a_learned_reward_is_refused(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "reward")
    (tmp_path / "run" / "reward").mkdir()
    assert "no learned reward yet" in error_of([str(tmp_path / "run")], capsys)


def test_an_environment_without_render_modes_is_refused(tmp_path: Path, capsys: Capture) -> None:
    gym.register("Blind-v0", lambda: gym.Env(), disable_env_checker=True)
    try:
        run = RunDir.create(tmp_path / "blind", RunConfig(env=EnvConfig("Blind-v0")))
        assert "no render modes" in error_of([str(run.path)], capsys)
    finally:
        gym.registry.pop("Blind-v0")


@pytest.mark.parametrize("action", [np.array(3), np.array([0.5, 1.0])])
def test_actions_have_the_type_of_the_action_space(action: np.ndarray) -> None:
    class Model:
        def predict(self, observation: Any, deterministic: bool) -> tuple[np.ndarray, None]:
            assert deterministic
            return action, None

    chosen = watch_command._make_action_chooser(Model(), deterministic=True, seed=0)(None)
    assert np.array_equal(chosen, action)
    assert isinstance(chosen, np.integer if action.ndim == 0 else np.ndarray)


def test_actions_are_sampled_unless_the_settings_are_deterministic(trained: RunDir) -> None:
    model, _ = watch_command._load_newest(trained, trained.config(), False)

    def actions(seed: int, deterministic: bool) -> list[float]:
        choose = watch_command._make_action_chooser(model, deterministic, seed)
        observation = np.zeros(model.observation_space.shape, np.float32)
        return [float(np.sum(choose(observation))) for _ in range(30)]

    sampled = actions(seed=5, deterministic=False)
    assert sampled == actions(seed=5, deterministic=False)
    assert sampled != actions(seed=6, deterministic=False)
    assert len(set(sampled)) > 1
    assert len(set(actions(seed=5, deterministic=True))) == 1


def test_an_agent_replaced_while_it_is_loaded_is_loaded_again(
    trained: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prefrl_agents

    load_run_agent, calls = prefrl_agents.load_run_agent, []

    def replaced_at_first(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise FileNotFoundError("model.zip")
        return load_run_agent(*arguments)

    monkeypatch.setattr(prefrl_agents, "load_run_agent", replaced_at_first)
    model, reward = watch_command._load_newest(trained, trained.config(), False)
    assert model.num_timesteps == 256
    assert reward.version > 0
    assert len(calls) == 2
