"""Shortest walks through a random graph: a minimal text task whose best answers are known exactly.

After the toy task of Chen et al. 2021 (Decision Transformer, section 3), which learns shortest walks from random ones.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from prefrl_envs.text.tokenizers import WordTokenizer

__all__ = ["GOAL", "RandomWalks", "random_graph", "shortest_steps"]

GOAL = 0
NODES = 21
EDGE_PROBABILITY = 0.1
_NOWHERE = -1


class RandomWalks:
    """Walk from the prompt's node to the goal, node "a", along edges in as few steps as possible.

    The response lists the nodes of the walk, "c f a", each a token; it ends at the goal, which no edge leaves. A
    valid walk of n steps earns (longest + 1 - n) / (longest + 1 - shortest), where longest is
    ``max_walk_nodes`` - 1 steps and shortest the fewest from its start: 1 for a shortest walk, more than 0 for the
    longest, and defined where both are equal. A walk that leaves the edges, does not end at the goal, or is longer
    earns 0.

    Args:
        edges: shape (nodes, nodes) bool, ``edges[i, j]`` an edge from i to j; `random_graph` if not given.
        max_walk_nodes: most nodes of a walk, its start included.

    Raises:
        ValueError: when the edges are not square with 2 to 26 nodes, or no node reaches the goal in that many steps.
    """

    def __init__(self, edges: np.ndarray | None = None, max_walk_nodes: int = 10) -> None:
        edges = random_graph() if edges is None else np.array(edges, bool)
        self.nodes = string.ascii_lowercase[: len(edges)]
        if edges.shape != (len(self.nodes),) * 2 or len(edges) < 2:
            raise ValueError(f"edges have shape {edges.shape}; a square of 2 to 26 nodes is needed")
        # A walk ends at the goal.
        edges[GOAL] = False
        self.edges, self.shortest = edges, shortest_steps(edges)
        self.longest = max_walk_nodes - 1
        self.starts = np.flatnonzero((self.shortest > 0) & (self.shortest <= self.longest))
        if not self.starts.size:
            raise ValueError(
                f"no node leads to the goal in {self.longest} steps; add edges, or raise max_walk_nodes, "
                f"which is {max_walk_nodes}"
            )
        self._numbers = {name: node for node, name in enumerate(self.nodes)}
        self.tokenizer = WordTokenizer(self.nodes)
        self.max_prompt_tokens = 1
        self.max_new_tokens = max_walk_nodes
        """a walk without its start, and the end token"""

    def prompt(self, rng: np.random.Generator) -> str:
        """A node from which the goal can be reached, uniformly."""
        return self.nodes[rng.choice(self.starts)]

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Reward of each walk in [0, 1], 1 for a shortest one, shape (B,).

        Raises:
            ValueError: when a prompt is not a start node.
        """
        return np.array(
            [self._optimality(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        )

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A random walk up to the goal, a dead end or the longest length; most are not shortest."""
        start = int(rng.choice(self.starts))
        walk = [start]
        while len(walk) <= self.longest and self.edges[walk[-1]].any():
            walk.append(int(rng.choice(np.flatnonzero(self.edges[walk[-1]]))))
        return self.nodes[start], " ".join(self.nodes[node] for node in walk[1:])

    def optimal_return(self) -> float:
        """1, the reward of shortest walks."""
        return 1.0

    def _optimality(self, prompt: str, response: str) -> float:
        start = self._numbers.get(prompt, GOAL)
        if start not in self.starts:
            starts = " ".join(self.nodes[node] for node in self.starts)
            raise ValueError(f"prompt {prompt!r} is no node to start from; they are {starts}")
        walk = [start, *(self._numbers.get(word, _NOWHERE) for word in response.split())]
        steps = len(walk) - 1
        if steps > self.longest or walk[-1] != GOAL or _NOWHERE in walk:
            return 0.0
        if not self.edges[walk[:-1], walk[1:]].all():
            return 0.0
        return float((self.longest + 1 - steps) / (self.longest + 1 - self.shortest[start]))


def random_graph(seed: int = 0) -> np.ndarray:
    """A graph of 21 nodes with edges of probability 0.1, drawn again until the goal can be reached from all nodes.

    With seed 0 the goal is 1 to 5 steps away; half of the random walks reach it, a fifth by a shortest walk.

    Returns:
        edges, shape (21, 21) bool, see `RandomWalks`; none leaves the goal, and there are no loops.
    """
    rng = np.random.default_rng(seed)
    while True:
        edges = rng.random((NODES, NODES)) < EDGE_PROBABILITY
        np.fill_diagonal(edges, False)
        edges[GOAL] = False
        if (shortest_steps(edges) >= 0).all():
            return edges


def shortest_steps(edges: np.ndarray) -> np.ndarray:
    """Fewest steps from each node to the goal, shape (nodes,) int; -1 where there is no walk."""
    steps = np.full(len(edges), -1)
    reached, count = np.arange(len(edges)) == GOAL, 0
    while reached.any():
        steps[reached] = count
        # Breadth-first from the goal: nodes one step before those just reached that were not reached earlier.
        reached, count = edges[:, reached].any(axis=1) & (steps < 0), count + 1
    return steps
