"""Clips from cameras show the same states as the agent's observations."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import EnvConfig, OracleConfig, RunConfig
from prefrl.data.clips import decode_clip
from prefrl.data.types import Segment
from prefrl.loop.environments import make_environment, make_native_environment, make_screens
from prefrl.recording.clip_recorder import ClipRecorder
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.recording.state_rendering import draw_state
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv, find_camera, wrap

STEPS = 10


def ordinary(env_id: str, num_envs: int = 2, render_mode: str | None = "rgb_array") -> VecEnv:
    config = EnvConfig(id=env_id)
    return DummyVecEnv([lambda: make_environment(config, Monitor, render_mode)] * num_envs)


def record(venv: VecEnv, steps: int) -> list[tuple[Segment, Any]]:
    """Segments of random play that have clips, with their clips."""
    camera = find_camera(venv)
    assert camera is not None
    venv.seed(3)
    filmed = PreferenceVecEnv(venv, STEPS, "Test-v0", 0, film=ClipRecorder(camera, STEPS, first_clips=100))
    filmed.begin_training(None)
    filmed.reset()
    rng = np.random.default_rng(0)
    filmed.action_space.seed(0)
    for _ in range(steps):
        if isinstance(filmed.action_space, gym.spaces.Discrete):
            actions = rng.integers(filmed.action_space.n, size=filmed.num_envs)
        else:
            actions = np.stack([filmed.action_space.sample() for _ in range(filmed.num_envs)])
        filmed.step(actions)
    recorder: SegmentRecorder = filmed.recorder
    segments, clips = recorder.take(), recorder.take_clips()
    filmed.close()
    return [(segment, decode_clip(clips[segment.id])) for segment in segments if segment.id in clips]


def test_environments_that_render_themselves_give_frames() -> None:
    found = record(ordinary("prefrl/PenguinIce-v0"), 60)
    assert len(found) >= 10
    drawn: Any = gym.make("prefrl/PenguinIce-v0", render_mode="rgb_array")
    for segment, clip in found:
        for observation, frame in zip(segment.observations, clip.frames, strict=True):
            drawn.reset(options={"state": int(observation.argmax() if observation.ndim else observation)})
            np.testing.assert_array_equal(frame, drawn.render())


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_classic_control_records_states_that_render_to_the_same_frames_later(env_id: str) -> None:
    venv = ordinary(env_id, num_envs=1)
    camera = find_camera(venv)
    assert camera is not None
    venv.seed(0)
    venv.reset()
    venv.action_space.seed(0)
    pictures, states = [], []
    for _ in range(5):
        states.append(camera.capture(0))
        pictures.append(venv.env_method("render")[0])
        venv.step(np.array([venv.action_space.sample()]))
    later = gym.make(env_id, render_mode="rgb_array", disable_env_checker=True)
    later.reset(seed=1)
    for state, picture in zip(states, pictures, strict=True):
        np.testing.assert_array_equal(draw_state(later, state), picture)


def test_mujoco_records_states_that_are_rendered_later() -> None:
    pytest.importorskip("mujoco", reason="needs the mujoco extra")
    found = record(ordinary("Hopper-v5", render_mode=None), 60)
    assert len(found) >= 10
    for segment, clip in found:
        assert clip.frames is None
        # A Hopper observes all its positions but the first, and its velocities up to 10.
        np.testing.assert_allclose(clip.states[:, 1:6], segment.observations[:, :5])
        np.testing.assert_allclose(np.clip(clip.states[:, 6:], -10, 10), segment.observations[:, 5:])


@pytest.mark.parametrize("game", ["Pong", "Seaquest"])
def test_native_games_give_coloured_screens(game: str) -> None:
    pytest.importorskip("ale_py", reason="the games need the atari extra")
    cv2 = pytest.importorskip("cv2")
    config = EnvConfig(id=f"prefrl/{game}-v0", num_envs=3)
    games = make_native_environment(config, 3, for_training=True)
    found = record(NativeVecEnv(games, make_screens(games, 1)), 400)
    assert len(found) == 39
    for segment, clip in found:
        assert clip.frames.shape == (STEPS, 210, 160, 3)
        for observation, frame in zip(segment.observations, clip.frames, strict=True):
            grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA)
            # Black in the observation may also be hidden: score and lives. The brighter of two frames is taken of
            # each colour here, of grey there.
            shown = observation[-1] > 0
            assert (observation[-1][shown] == grey[shown]).mean() > 0.95
            assert grey[:9].any()


def test_environments_that_cannot_render_have_no_camera() -> None:
    venv = ordinary("prefrl/PenguinIce-v0", render_mode=None)
    assert find_camera(venv) is None
    venv.close()


def test_frames_of_the_wrong_shape_or_dtype_are_refused() -> None:
    class Flat(gym.Env[np.ndarray, np.int64]):
        render_mode = "rgb_array"
        observation_space = gym.spaces.Box(0, 1, (1,))
        action_space = gym.spaces.Discrete(2)

        def render(self) -> Any:
            return np.zeros((4, 4))

    camera = find_camera(DummyVecEnv([Flat]))
    assert camera is not None
    with pytest.raises(ValueError, match=r"arrays of shape \(4, 4\) and type float64"):
        camera.capture(0)


def test_human_oracle_needs_an_environment_that_renders() -> None:
    human, env_id = RunConfig(oracle=OracleConfig("human")), "prefrl/PenguinIce-v0"
    assert not wrap.record(ordinary(env_id, render_mode=None), RunConfig(), env_id).recorder.is_filmed
    with pytest.raises(ValueError, match="render_mode='rgb_array'"):
        wrap.record(ordinary(env_id, render_mode=None), human, env_id)
    assert wrap.record(ordinary(env_id), human, env_id).recorder.is_filmed


def test_texts_are_shown_without_clips() -> None:
    venv = NativeVecEnv(gym.make_vec("prefrl/RandomWalks-v0", num_envs=2))
    recorded = wrap.record(venv, RunConfig(oracle=OracleConfig("human")), "prefrl/RandomWalks-v0")
    assert not recorded.recorder.is_filmed


@pytest.mark.parametrize(("is_named", "shape"), [(False, (500, 500, 3)), (True, (3,))])
def test_environments_registered_in_a_script_record_frames_unless_the_run_names_their_module(
    is_named: bool, shape: tuple[int, ...]
) -> None:
    gym.register("Mine/Pendulum-v0", lambda **kwargs: gym.make("Pendulum-v1", **kwargs).unwrapped)
    try:
        venv = DummyVecEnv([lambda: gym.make("Mine/Pendulum-v0", render_mode="rgb_array")])
    finally:
        del gym.registry["Mine/Pendulum-v0"]
    venv.reset()
    camera = find_camera(venv, is_named_with_module=is_named)
    assert camera is not None
    assert camera.capture(0).shape == shape
