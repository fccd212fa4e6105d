"""Every way into a run, crossed: each learns from exactly the labels asked for, or is refused before any work.

{command line, callback} x {vectors, images, texts} x {synthetic, human, mixed} x {fresh, resumed}. People are scripted
key presses at the labelling controller, which the window and other front ends share.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl import PreferenceCallback
from prefrl.cli import main
from prefrl.config import (
    AgentConfig,
    EnvConfig,
    OracleConfig,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
    ScheduleConfig,
    from_json,
    to_json,
)
from prefrl.labelling.connect import connect
from prefrl.labelling.instructions import Instructions
from prefrl.runtime.serial import SerialLauncher
from prefrl.sb3 import NativeVecEnv
from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir
from prefrl_agents.factory import build_agent
from prefrl_agents.text import TokenPPO

pytestmark = pytest.mark.slow

LABELS, STEPS = 12, 512
COMMON = RunConfig(
    reward=RewardConfig(
        hidden=(8,), members=1, initial_epochs=2, epochs_per_update=1, validation_fraction=0.0
    ),
    queries=QueryConfig(segment_steps=5, batch=4),
    schedule=ScheduleConfig(kind="constant", initial_share=0.34),
    runtime=RuntimeConfig("serial", checkpoint_steps=128),
    labels=LABELS,
    steps=STEPS,
    eval_episodes=1,
)
PPO_SETTINGS = {"n_steps": 32, "batch_size": 64, "n_epochs": 1}
WAYS: dict[str, tuple[EnvConfig, AgentConfig]] = {
    "vectors": (
        EnvConfig("prefrl/PenguinIce-v0", num_envs=4, endless=False),
        AgentConfig(hyperparameters=PPO_SETTINGS),
    ),
    "images": (
        EnvConfig("prefrl/MovingDot-v0", num_envs=4),
        AgentConfig(
            hyperparameters=PPO_SETTINGS
            | {"policy_kwargs": {"features_extractor_kwargs": {"features_dim": 8}}}
        ),
    ),
    "texts": (EnvConfig("prefrl/RandomWalks-v0", num_envs=16), AgentConfig()),
}


def settings(data: str, kind: str) -> RunConfig:
    env, agent = WAYS[data]
    return replace(COMMON, env=env, agent=agent, oracle=OracleConfig(kind))


class KeyPresses(threading.Thread):
    """A person who presses a key at every query that is shown, as long as the run is there."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path, self._ended = path, threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._is_there():
                if self._ended.wait(0.01):
                    return
            with connect(
                RunDir.open(self._path), "ann", Instructions("Which?", ""), lambda items: items
            ) as desk:
                self._label(desk.controller)
        except BaseException as error:
            self.error = error
            # Who waits for this person's answers would wait without end.
            _thread.interrupt_main()

    def _is_there(self) -> bool:
        try:
            Store.open(self._path / "store.sqlite").close()
        except StoreError:
            return False
        return True

    def _label(self, controller: Any) -> None:
        controller.press("any key")
        while not self._ended.wait(0.005):
            controller.update()
            if controller.query is not None:
                controller.mark_seen()
                controller.press("left")

    def end(self) -> None:
        self._ended.set()
        self.join()
        if self.error is not None:
            raise self.error


@contextmanager
def person(path: Path, kind: str) -> Iterator[None]:
    """Somebody who labels, where people are asked alone."""
    if kind != "human":
        yield
        return
    keys = KeyPresses(path)
    keys.start()
    try:
        yield
    finally:
        keys.end()


class StopAt(BaseCallback):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self.steps


def words(config: RunConfig, path: Path) -> list[str]:
    """The command line that gives these settings."""
    flags = {
        "--env": config.env.id,
        "--env.num-envs": config.env.num_envs,
        "--oracle": config.oracle.kind,
        "--launcher": "serial",
        "--labels": config.labels,
        "--steps": config.steps,
        "--eval-episodes": config.eval_episodes,
        "--reward.hidden": 8,
        "--reward.members": 1,
        "--reward.initial-epochs": 2,
        "--reward.epochs-per-update": 1,
        "--reward.validation-fraction": 0,
        "--queries.batch": config.queries.batch,
        "--schedule.kind": "constant",
        "--schedule.initial-share": config.schedule.initial_share,
        "--runtime.checkpoint-steps": config.runtime.checkpoint_steps,
        "--agent.hyperparameters": str(config.agent.hyperparameters).replace("'", '"'),
        "--run": path,
    }
    listed = [str(part) for flag in flags.items() for part in flag]
    return [*listed, *(() if config.env.endless else ["--env.no-endless"]), "--no-viewer"]


def by_command_line(config: RunConfig, path: Path, is_resumed: bool) -> None:
    # Of vectors and images the length is said; what texts demand is derived, whatever the default.
    segment = [] if config.env.id.endswith("Walks-v0") else ["--queries.segment-steps", "5"]
    train = ["train", *words(config, path), *segment]
    if not is_resumed:
        assert main(train) == 0
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prefrl.cli.train_command.launch", lambda *_: 0)
        assert main(train) == 0
    run = RunDir.open(path)
    launcher = SerialLauncher(run, build_agent)
    launcher = SerialLauncher(run, build_agent, lambda: stop_past(run, STEPS // 2, launcher))
    assert launcher.launch() is None
    assert 0 < labels_in(run) < LABELS
    assert main(["resume", str(path), "--no-viewer"]) == 0


def stop_past(run: RunDir, step: int, launcher: SerialLauncher) -> None:
    with Store.open(run.store) as store:
        if store.counters().get("policy_step", 0) >= step:
            launcher.stop.set()


def by_callback(config: RunConfig, path: Path, is_resumed: bool) -> None:
    # A new process would make everything anew: loop, environments and agent.
    loop = PreferenceCallback(run=path, config=config)
    if is_resumed:
        make_model(config, loop).learn(STEPS, callback=[loop, StopAt(STEPS // 2)])
        assert 0 < labels_in(RunDir.open(path)) < LABELS
        loop = PreferenceCallback(run=path, config=config)
    make_model(config, loop).learn(STEPS // 2 if is_resumed else STEPS, callback=loop)


def make_model(config: RunConfig, loop: PreferenceCallback) -> Any:
    env = config.env
    if env.id.endswith("Walks-v0"):
        texts: VecEnv = NativeVecEnv(gym.make_vec(env.id, num_envs=env.num_envs, responses_per_prompt=2))
        texts.seed(0)
        kwargs = {"model": "tiny", "seed": 0}
        return TokenPPO("LanguageModelPolicy", loop.wrap(texts), policy_kwargs=kwargs, seed=0, device="cpu")
    mode = {"render_mode": "rgb_array"} if config.oracle.asks_people else {}
    venv = make_vec_env(env.id, env.num_envs, seed=0, env_kwargs=mode)
    policy = "CnnPolicy" if "Dot" in env.id else "MlpPolicy"
    return PPO(policy, loop.wrap(venv), **config.agent.hyperparameters, seed=0, device="cpu")


def labels_in(run: RunDir) -> int:
    with Store.open(run.store) as store:
        return store.counts().labels


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Whatever share of the time recording clips takes, which depends on the machine.
    monkeypatch.setattr("prefrl.recording.clip_recorder.MAX_TIME_SHARE", 1e9)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore:an episode ended by termination")
@pytest.mark.parametrize("is_resumed", [False, True], ids=["fresh", "resumed"])
@pytest.mark.parametrize("kind", ["synthetic", "human", "mixed"])
@pytest.mark.parametrize("data", list(WAYS))
@pytest.mark.parametrize("way", [by_command_line, by_callback])
def test_exactly_the_labels_asked_for_are_learned_from(
    way: Callable[[RunConfig, Path, bool], None], data: str, kind: str, is_resumed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    with person(path, kind):
        way(settings(data, kind), path, is_resumed)
    run = RunDir.open(path)
    with Store.open(run.store) as store:
        counts, counters = store.counts(), store.counters()
        annotators = store.label_counts()
        segments = store.segments([entry.id for entry in store.pool(5)])
    assert counts.labels == LABELS
    assert counters["reward_labels"] == LABELS
    assert counters["policy_step"] == STEPS, "steps asked for are steps taken"
    assert annotators == ({"ann": LABELS} if kind == "human" else {"synthetic": LABELS})
    length = 1 if data == "texts" else 5
    assert {len(segment) for segment in segments} == {length}


class TestRefused:
    def test_resuming_a_script_s_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = settings("vectors", "synthetic")
        by_callback(config, tmp_path / "run", is_resumed=False)
        before = sorted(path.name for path in (tmp_path / "run").iterdir())
        assert main(["resume", str(tmp_path / "run")]) == 1
        said = capsys.readouterr().err
        assert "belongs to a training script" in said
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
        assert main(["status", str(tmp_path / "run")]) == 0
        assert "prefrl resume" not in capsys.readouterr().out

    def test_the_agent_of_a_script_is_evaluated(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        by_callback(settings("vectors", "synthetic"), tmp_path / "run", is_resumed=False)
        capsys.readouterr()
        assert main(["eval", str(tmp_path / "run"), "--episodes", "2"]) == 0
        assert '"env_id": "prefrl/PenguinIce-v0"' in capsys.readouterr().out

    def test_a_script_does_not_continue_a_run_of_the_command_line(self, tmp_path: Path) -> None:
        config = settings("vectors", "synthetic")
        by_command_line(config, tmp_path / "run", is_resumed=False)
        with pytest.raises(ValueError, match=r"other settings: .*launcher"):
            by_callback(config, tmp_path / "run", is_resumed=False)

    def test_people_who_could_not_be_shown_anything(self, tmp_path: Path) -> None:
        loop = PreferenceCallback("human", run=tmp_path / "run", config=settings("vectors", "human"))
        with pytest.raises(ValueError, match="render_mode='rgb_array'"):
            loop.wrap(DummyVecEnv([lambda: gym.make("prefrl/PenguinIce-v0")]))
        assert not (tmp_path / "run").exists()


def test_settings_of_the_first_release_are_read(tmp_path: Path) -> None:
    old = to_json(settings("texts", "synthetic"))
    old["queries"] |= {"by_prompt": True}
    assert from_json(RunConfig, old) == settings("texts", "synthetic")


def test_two_scripts_on_one_run_directory(tmp_path: Path) -> None:
    from prefrl.storage.errors import RunDirError
    from prefrl.storage.run_lock import RunLock

    config = settings("vectors", "synthetic")
    by_callback(config, tmp_path / "run", is_resumed=False)
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        import subprocess
        import sys

        code = (
            "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
            "print('held', flush=True); sys.stdin.read()"
        )
        path = str((tmp_path / "run" / "launcher.lock").absolute())
        with subprocess.Popen(
            [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            held.set()
            done.wait()
            process.communicate()

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    try:
        with pytest.raises(RunDirError, match="already being run by another launcher or script"):
            by_callback(config, tmp_path / "run", is_resumed=False)
    finally:
        done.set()
        other.join()
    RunLock(RunDir.open(tmp_path / "run")).acquire()
