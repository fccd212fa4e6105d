"""Acting while learning: one update behind, and otherwise the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

MakeAgent = Callable[..., Any]
algorithms = pytest.mark.parametrize("algorithm", ["ppo", "a2c"])


def run(agent: Any, steps: int) -> None:
    while agent.policy_step < steps:
        agent.step()


def weights(agent: Any) -> list[torch.Tensor]:
    return [value.clone() for value in agent.model.policy.state_dict().values()]


def recorded(agent: Any) -> list[str]:
    return [segment.id for segment in agent.segments]


@algorithms
def test_the_same_seed_gives_the_same_actions_and_weights(algorithm: str, make_agent: MakeAgent) -> None:
    runs = []
    for seed in (0, 0, 1):
        agent = make_agent(algorithm, seed=seed, overlap=True)
        run(agent, 400)
        runs.append((recorded(agent), weights(agent)))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert all(torch.equal(*pair) for pair in zip(runs[0][1], runs[1][1], strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "ppo"},
        {"algorithm": "a2c"},
        {"env_id": "Pendulum-v1"},  # actions in a box
        {"env_id": "prefrl/MovingDot-v0", "policy": "FastCnnPolicy", "n_steps": 20},
    ],
)
def test_without_learning_it_does_what_it_does_in_turns(
    settings: dict[str, Any], make_agent: MakeAgent, make_reward: Any
) -> None:
    done = []
    for overlap in (False, True):
        agent = make_agent(reward=make_reward(version=0), overlap=overlap, **settings)
        run(agent, 400)
        assert agent.policy_step == 400
        done.append(recorded(agent))
    assert done[0] == done[1]


@algorithms
def test_the_policy_that_acts_is_one_update_behind(algorithm: str, make_agent: MakeAgent) -> None:
    agent = make_agent(algorithm, overlap=True)
    assert agent._overlap is not None
    for _ in range(3):
        learned = weights(agent)
        agent.step()
        acting = agent._overlap._collector._actor.state_dict().values()
        assert all(torch.equal(*pair) for pair in zip(learned, acting, strict=True))
        assert any(not torch.equal(*pair) for pair in zip(weights(agent), acting, strict=True))


@algorithms
def test_what_is_learned_from_is_what_was_done(
    algorithm: str, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reward is the observation's first entry, and so it has to be in every buffer that is learned from."""
    agent = make_agent(algorithm, overlap=True)
    train, seen = agent.model.train, []

    def looked_at() -> None:
        buffer = agent.model.rollout_buffer
        np.testing.assert_allclose(buffer.rewards, buffer.observations[..., 0], rtol=1e-6)
        seen.append(buffer.observations.copy())
        train()

    monkeypatch.setattr(agent.model, "train", looked_at)
    run(agent, 400)
    steps = np.concatenate(seen)
    assert len(steps) == 200
    assert len({step.tobytes() for step in steps}) == 200, "no rollout comes twice"


def test_what_breaks_while_acting_is_told(make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent("ppo", overlap=True)
    agent.step()

    def broken(*_: Any) -> None:
        raise RuntimeError("the simulator broke")

    monkeypatch.setattr(agent._venv, "step", broken)
    with pytest.raises(RuntimeError, match="the simulator broke"):
        run(agent, 400)


def test_a_saved_agent_goes_on(make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = make_agent("ppo", overlap=True)
    run(agent, 200)
    agent.save(tmp_path / "agent")
    continued = make_agent("ppo", overlap=True)
    assert all(torch.equal(*pair) for pair in zip(weights(agent), weights(continued), strict=True))
    assert continued.policy_step == agent.policy_step
    run(continued, 400)
    assert continued.policy_step == 400


@pytest.mark.parametrize(
    ("algorithm", "settings"), [("dqn", {}), ("sac", {}), ("ppo", {"env_id": "Pendulum-v1", "use_sde": True})]
)
def test_agents_it_does_not_suit_are_refused(
    algorithm: str, settings: dict[str, Any], make_agent: MakeAgent
) -> None:
    with pytest.raises(
        ValueError, match=r"agent.overlap is for ppo and a2c without use_sde; set it to false"
    ):
        make_agent(algorithm, overlap=True, **settings)
