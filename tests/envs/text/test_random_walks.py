from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.text import TextGenEnv
from prefrl_envs.text.random_walks import GOAL, RandomWalks, random_graph, shortest_steps


def graph(nodes: str, *edges: str) -> np.ndarray:
    matrix = np.zeros((len(nodes), len(nodes)), bool)
    for start, end in edges:
        matrix[nodes.index(start), nodes.index(end)] = True
    return matrix


SMALL = graph("abcd", "ba", "cb", "bc", "dc", "db", "ad")


@pytest.mark.parametrize(
    ("start", "walk", "reward"),
    [
        # longest is 3 steps; from b the shortest is 1, from c and d 2
        ("d", "b a", 1.0),
        ("d", "c b a", (4 - 3) / (4 - 2)),
        ("c", "b a", 1.0),
        ("b", "a", 1.0),
        ("b", "c b a", (4 - 3) / (4 - 1)),
        ("d", "b c b a", 0.0),  # four steps
        ("d", "a", 0.0),  # no such edge
        ("d", "b", 0.0),  # ends elsewhere
        ("d", "b a d", 0.0),  # no edge leaves the goal, whatever was given
        ("d", "b a a", 0.0),
        ("d", "", 0.0),
        ("d", "b x a", 0.0),
    ],
)
def test_rewards_by_hand(start: str, walk: str, reward: float) -> None:
    task = RandomWalks(SMALL, max_walk_nodes=4)
    assert task.reward([start], [walk]).tolist() == pytest.approx([reward])


def test_rewards_are_defined_where_the_shortest_walk_is_the_longest() -> None:
    task = RandomWalks(graph("abcd", "dc", "cb", "ba"), max_walk_nodes=4)
    assert task.reward(["d", "d"], ["c b a", "c b"]).tolist() == [1.0, 0.0]


@given(bits=st.lists(st.booleans(), min_size=25, max_size=25))
def test_shortest_steps_are_those_of_all_walks_enumerated(bits: list[bool]) -> None:
    edges = np.array(bits).reshape(5, 5)
    brute = np.full(5, -1)
    brute[GOAL] = 0
    for steps in (4, 3, 2, 1):  # a shortest walk visits no node twice
        for start, *rest in itertools.product(range(5), repeat=steps):
            walk = [start, *rest, GOAL]
            if start != GOAL and all(edges[i, j] for i, j in itertools.pairwise(walk)):
                brute[start] = steps
    assert shortest_steps(edges).tolist() == brute.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_shortest_walks_earn_the_optimal_return(seed: int) -> None:
    task = RandomWalks(random_graph(seed))
    env = TextGenEnv(task)
    for start in task.starts:
        env.reset(options={"prompt": task.nodes[start]})
        node, is_over = int(start), False
        while node != GOAL:
            nearer = task.edges[node] & (task.shortest == task.shortest[node] - 1)
            node = int(np.flatnonzero(nearer)[0])
            _, _, *is_over, _ = env.step(node)
            assert is_over == [False, False]
        assert env.step(env.task.tokenizer.eos_id)[1] == task.optimal_return() == 1.0


def test_the_graph_is_the_seeds_and_leads_to_the_goal() -> None:
    edges = random_graph()
    assert edges.shape == (21, 21)
    np.testing.assert_array_equal(edges, random_graph(0))
    assert (edges != random_graph(1)).any()
    assert not edges.diagonal().any()
    assert not edges[GOAL].any()
    assert sorted(set(shortest_steps(edges).tolist())) == [0, 1, 2, 3, 4, 5]


def test_vocabulary_and_limits() -> None:
    task = RandomWalks()
    assert task.tokenizer.decode(range(23)) == "a b c d e f g h i j k l m n o p q r s t u"
    assert (task.max_prompt_tokens, task.max_new_tokens) == (1, 10)


def test_demonstrations_walk_along_edges_and_are_mostly_not_shortest() -> None:
    task = RandomWalks()
    rng = np.random.default_rng(0)
    pairs = [task.demonstration(rng) for _ in range(1000)]
    for prompt, response in pairs:
        walk = [task.nodes.index(node) for node in (prompt, *response.split())]
        assert 2 <= len(walk) <= 10
        assert all(task.edges[i, j] for i, j in itertools.pairwise(walk))
        assert GOAL not in walk[:-1]
    rewards = task.reward(*zip(*pairs, strict=True))
    assert 0.4 < (rewards > 0).mean() < 0.6
    assert 0.1 < (rewards == 1).mean() < 0.3


def test_prompts_are_nodes_from_which_the_goal_is_in_reach() -> None:
    task = RandomWalks(graph("abcde", "ba", "cb", "dc", "ee"), max_walk_nodes=3)
    rng = np.random.default_rng(0)
    assert {task.prompt(rng) for _ in range(50)} == {"b", "c"}
    for prompt in ("a", "d", "e", "x", "b c", ""):
        with pytest.raises(ValueError, match=f"prompt '{prompt}' is no node to start from; they are b c"):
            task.reward([prompt], ["a"])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (np.ones((1, 1), bool), r"shape \(1, 1\)"),
        (np.ones((3, 2), bool), r"shape \(3, 2\)"),
        (np.ones((27, 27), bool), r"shape \(27, 27\); a square of 2 to 26"),
        (graph("abc", "bc", "cb"), "no node leads to the goal in 9 steps"),
    ],
)
def test_invalid_graphs_are_refused(edges: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomWalks(edges)


def test_the_callers_edges_are_left_alone() -> None:
    edges = SMALL.copy()
    RandomWalks(edges, max_walk_nodes=4)
    np.testing.assert_array_equal(edges, SMALL)
