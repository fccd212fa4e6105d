"""Which environments are rendered from states, and with which camera."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.recording.state_rendering import close_rendering_env, draw_state, has_states, shows_text, state_of


@pytest.mark.parametrize(
    ("env_id", "states", "texts"),
    [
        ("CartPole-v1", True, False),
        ("prefrl_envs:prefrl/PenguinIce-v0", False, False),
        ("prefrl_envs:prefrl/RankedAnswers-v0", False, True),
    ],
)
def test_environments_have_states_or_texts_or_neither(env_id: str, states: bool, texts: bool) -> None:
    env = gym.make(env_id)
    assert (has_states(env), shows_text(env)) == (states, texts)


class Robot(gym.Env[Any, Any]):
    """Has the interface of MuJoCo's environments."""

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
def test_the_tracking_camera_is_used_unless_another_was_chosen(
    cameras: list[str], chosen: int | None, used: int
) -> None:
    robot = Robot(cameras, chosen)
    draw_state(robot, np.array([7.0, 1.0]))
    assert robot.mujoco_renderer.camera_id == used
    assert (robot.data.qpos.item(), robot.data.qvel.item()) == (7.0, 1.0)


def test_closing_an_environment_that_rendered_leaves_windows_open(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame", reason="classic control renders with it")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    draw_state(env, state_of(env))
    close_rendering_env(env)
    assert pygame.display.get_init()
    pygame.display.quit()
