"""The demonstration: a penguin trained from comparisons alone, with its return beside the exact optimum.

``make demo`` runs it: three processes, 150 synthetic labels, a few minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import prefrl_command

__all__ = ["main"]


def main() -> int:
    """Train, then print how close to the optimum it came; returns the trainer's exit status."""
    run = Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    words = ["train", "penguin", "--run", str(run)]
    print(
        "A penguin on slippery ice looks for fish. It never sees the true reward: a synthetic oracle compares"
    )
    print("150 pairs of short clips, a reward is learned from the answers, and PPO maximises that reward.\n")
    print("$ prefrl", *words, flush=True)
    outcome = subprocess.run(prefrl_command(*words), stdout=subprocess.PIPE, text=True, check=False)
    if outcome.returncode != 0:
        return outcome.returncode
    result = json.loads(outcome.stdout.splitlines()[-1])
    mean, optimum = result["true_return_mean"], result["optimal_return"]
    print(json.dumps(result))
    print(
        f"\ntrue return     {mean:7.2f}   mean of {result['episodes']} episodes in the original environment"
    )
    print(f"exact optimum   {optimum:7.2f}   by backward induction on the transition tensor")
    print(
        f"reached         {mean / optimum:7.1%}   from {result['labels']} labels in {result['wall_s']:.0f} s"
    )
    print(f"\nsee it act:  prefrl watch {run}      or  prefrl watch {run} --gif penguin.gif")
    return 0


if __name__ == "__main__":
    sys.exit(main())
