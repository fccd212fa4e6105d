"""The three workers of the loop, each a plain object with ``step()`` that knows nothing of processes.

`PolicyWorker` acts and learns, `OracleWorker` chooses queries and answers them, `RewardWorker` fits the learned
reward to the answers. They meet in a run directory and nowhere else.
"""

from prefrl.workers.heap import keep_heap
from prefrl.workers.in_process import helpers_in_process
from prefrl.workers.link import PolicyLink
from prefrl.workers.oracle import OracleWorker
from prefrl.workers.policy import Agent, PolicyWorker
from prefrl.workers.pulse import Pulse, StopFlag, annotator_beat
from prefrl.workers.reward import RewardWorker

__all__ = [
    "Agent",
    "OracleWorker",
    "PolicyLink",
    "PolicyWorker",
    "Pulse",
    "RewardWorker",
    "StopFlag",
    "annotator_beat",
    "helpers_in_process",
    "keep_heap",
]
