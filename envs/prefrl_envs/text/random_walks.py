"""The shortest walk through a random graph: the least text task whose best answers are known exactly.

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
    """Walk from the node that the prompt names to the goal, node "a", along edges, in as few steps as can be.

    The response names the nodes walked to, "c f a", each a token; it ends at the goal, which no edge leaves. A
    valid walk of n steps earns (longest + 1 - n) / (longest + 1 - shortest), where longest is
    ``max_walk_nodes`` - 1 steps and shortest the fewest from its start: 1 for a shortest walk, more than 0 for the
    longest, and defined where they are one. A walk that takes a step along no edge, or does not end at the goal, or is
    longer, earns 0.

    Args:
        edges: shape (nodes, nodes) bool, ``edges[i, j]`` an edge from i to j; `random_graph` if not given.
        max_walk_nodes: most nodes of a walk, its start among them.

    Raises:
        ValueError: when the edges are no square of 2 to 26 nodes, or no node leads to the goal in so few steps.
    """

    def __init__(self, edges: np.ndarray | None = None, max_walk_nodes: int = 10) -> None:
        edges = random_graph() if edges is None else np.array(edges, bool)
        self.nodes = string.ascii_lowercase[: len(edges)]
        if edges.shape != (len(self.nodes),) * 2 or len(edges) < 2:
            raise ValueError(f"edges have shape {edges.shape}; a square of 2 to 26 nodes is needed")
        # Whoever has arrived has arrived.
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
        """a walk from the start, and the token that ends it"""

    def prompt(self, rng: np.random.Generator) -> str:
        """Any node but the goal that leads there, each alike."""
        return self.nodes[rng.choice(self.starts)]

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """How near each walk is to the shortest, in [0, 1], shape (B,).

        Raises:
            ValueError: when a prompt is no node to start from.
        """
        return np.array(
            [self._optimality(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        )

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A random walk, until it is at the goal, at a dead end or as long as may be; most are not shortest."""
        start = int(rng.choice(self.starts))
        walk = [start]
        while len(walk) <= self.longest and self.edges[walk[-1]].any():
            walk.append(int(rng.choice(np.flatnonzero(self.edges[walk[-1]]))))
        return self.nodes[start], " ".join(self.nodes[node] for node in walk[1:])

    def optimal_return(self) -> float:
        """Of shortest walks."""
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
    """A graph of 21 nodes that all lead to the goal; apart from that, each edge is there with probability 0.1.

    In that of seed 0 the goal is 1 to 5 steps away, and half of the random walks arrive, a fifth by a shortest way.

    Returns:
        edges, shape (21, 21) bool, see `RandomWalks`; none leaves the goal, or leads back to its own node.
    """
    rng = np.random.default_rng(seed)
    while True:
        edges = rng.random((NODES, NODES)) < EDGE_PROBABILITY
        np.fill_diagonal(edges, False)
        edges[GOAL] = False
        if (shortest_steps(edges) >= 0).all():
            return edges


def shortest_steps(edges: np.ndarray) -> np.ndarray:
    """Fewest steps from each node to the goal, shape (nodes,) int; -1 where no walk leads there."""
    steps = np.full(len(edges), -1)
    reached, count = np.arange(len(edges)) == GOAL, 0
    while reached.any():
        steps[reached] = count
        # Breadth first, backwards: the nodes one step before those just reached, and not reached before.
        reached, count = edges[:, reached].any(axis=1) & (steps < 0), count + 1
    return steps
