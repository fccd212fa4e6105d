"""What the loop asks of an agent, and of whoever builds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prefrl.config import RunConfig
from prefrl.data.types import Evaluation, LabelledQuery
from prefrl.recording.segment_recorder import Recording
from prefrl.reward.source import RewardSource
from prefrl.storage.run_dir import RunDir

__all__ = ["Agent", "AgentFactory", "AgentServices", "Rollout"]


@dataclass(frozen=True)
class Rollout:
    """What an agent did between two of its updates."""

    recording: Recording
    """segments, clips and episodes that ended in it"""
    steps: Any = None
    """what the agent itself needs to label the rollout and learn from it; the loop does not look inside"""


class Agent(Protocol):
    """Acts in the environments and learns. `prefrl_agents.SB3Agent` is one.

    The loop calls `collect`, `label` and `learn` in turn. The agent never sees the true reward.
    """

    exchange_every_steps: int
    """how often the rollouts are handed to the store, in environment steps; 0 hands over every rollout. Agents that
    learn after every step set it: the store is on a disk"""

    @property
    def policy_step(self) -> int:
        """Environment steps taken, over all environments."""

    def collect(self) -> Rollout:
        """Act for one rollout, and for no more steps than are left of the run."""

    def label(self, rollout: Rollout, reward: RewardSource) -> None:
        """Put the learned reward in the true one's place, in the rollout and wherever else a new version has to go."""

    def learn(self, rollout: Rollout) -> None:
        """Update from what was collected; nothing is learned before the first reward."""

    def metrics(self) -> Mapping[str, float]:
        """The agent's own figures of its last update, by name."""

    def save(self, folder: Path) -> None:
        """Write everything needed to continue into ``folder``, whole or not at all."""

    def evaluate(self, episodes: int, seed: int) -> Evaluation:
        """Act in the ordinary environment, for the true return."""

    def close(self) -> None:
        """Close the environments."""


@dataclass(frozen=True)
class AgentServices:
    """What the loop offers to an agent."""

    answers: Callable[[], Sequence[LabelledQuery]]
    """the comparisons that were answered since the last call, oldest first; all of them at the first"""
    heartbeat: Callable[[str, str], None]
    """says what the agent does before it acts ("fine-tuning"), and how far it is"""
    trust: bool = False
    """whether the user's own command says that the run's folder may execute code, as a pickled agent does"""


class AgentFactory(Protocol):
    """Builds the agent of a run. A top-level function, so that another process can import it by name."""

    def __call__(self, run: RunDir, config: RunConfig, services: AgentServices) -> Agent:
        """Make environments and agent, or continue the agent saved in ``run.agent``."""
