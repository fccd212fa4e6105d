"""The loop: the policy, oracle and reward workers, each a plain object with ``step()`` that knows nothing of processes.

`PolicyWorker` acts and learns, `OracleWorker` chooses queries and answers them, `RewardWorker` fits the learned
reward to the answers. They meet in a run directory and nowhere else. `assemble` puts them together.
"""

from prefrl.loop.agent import Agent, AgentFactory, AgentServices, Rollout
from prefrl.loop.channels import Channels
from prefrl.loop.heap import keep_heap
from prefrl.loop.heartbeat import Heartbeat, StopFlag, annotator_heartbeat
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.loop.policy_worker import PolicyWorker
from prefrl.loop.reward_worker import RewardWorker

__all__ = [
    "Agent",
    "AgentFactory",
    "AgentServices",
    "Channels",
    "Heartbeat",
    "OracleWorker",
    "PolicyWorker",
    "RewardWorker",
    "Rollout",
    "StopFlag",
    "annotator_heartbeat",
    "keep_heap",
]
