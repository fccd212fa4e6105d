"""The three workers of the loop, each a plain object with ``step()`` that knows nothing of processes.

`PolicyWorker` acts and learns, `OracleWorker` chooses queries and answers them, `RewardWorker` fits the learned
reward to the answers. They meet in a run directory and nowhere else.
"""

from prefrl.loop.channels import PolicyLink
from prefrl.loop.heap import keep_heap
from prefrl.loop.heartbeat import Heartbeat, StopFlag, annotator_heartbeat
from prefrl.loop.in_process import helpers_in_process
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.loop.policy_worker import Agent, PolicyWorker
from prefrl.loop.reward_worker import RewardWorker

__all__ = [
    "Agent",
    "Heartbeat",
    "OracleWorker",
    "PolicyLink",
    "PolicyWorker",
    "RewardWorker",
    "StopFlag",
    "annotator_heartbeat",
    "helpers_in_process",
    "keep_heap",
]
