"""Which environments are shown from their states, and by which camera."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.recording.state_rendering import close_scene, draw_state, has_states, has_texts, state_of


@pytest.mark.parametrize(
    ("env_id", "states", "texts"),
    [
        ("CartPole-v1", True, False),
        ("prefrl_envs:prefrl/PenguinIce-v0", False, False),
        ("prefrl_envs:prefrl/RankedAnswers-v0", False, True),
    ],
)
def test_what_an_environment_is_shown_from(env_id: str, states: bool, texts: bool) -> None:
    env = gym.make(env_id)
    assert (has_states(env), has_texts(env)) == (states, texts)


class Robot(gym.Env[Any, Any]):
    """As MuJoCo's environments look from here."""

    def __init__(self, cameras: list[str], camera_id: int | None) -> None:
        names = [SimpleNamespace(name=name) for name in cameras]
        self.model = SimpleNamespace(nq=1, ncam=len(names), camera=names.__getitem__)
        self.data = SimpleNamespace(qpos=np.zeros(1), qvel=np.zeros(1))
        self.mujoco_renderer = SimpleNamespace(camera_id=camera_id)

    def set_state(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        self.data.qpos, self.data.qvel = positions, velocities

    def render(self) -> Any:
        return np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("cameras", "chosen", "used"),
    [(["side", "track"], -1, 1), (["side", "track"], None, 1), (["side", "track"], 0, 0), (["side"], -1, -1)],
)
def test_the_camera_follows_unless_another_was_chosen(
    cameras: list[str], chosen: int | None, used: int
) -> None:
    robot = Robot(cameras, chosen)
    draw_state(robot, np.array([7.0, 1.0]))
    assert robot.mujoco_renderer.camera_id == used
    assert (robot.data.qpos.item(), robot.data.qvel.item()) == (7.0, 1.0)


def test_closing_what_drew_leaves_the_windows_of_the_process_open(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame", reason="classic control draws with it")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    draw_state(env, state_of(env))
    close_scene(env)
    assert pygame.display.get_init()
    pygame.display.quit()
