"""Synthetic oracles that answer by the true reward: the teachers of B-Pref (Lee et al. 2021), in its order.

1. Skip the query where max(sum R) <= delta_skip. 2. Mark as equal where |sum R1 - sum R2| < delta_equal; both sums are
undiscounted. 3. Judge by the myopic return, sum gamma^(H - t) r_t. 4. Answer by Bernoulli(softmax(beta * returns)), or
deterministically where beta is infinite. 5. Flip the answer with the probability of a mistake. 6. Equal segments are a
tie, whatever the answer was, so ties are never flipped. delta = eps * mean true return of the last 10 episodes * H / T.

Three points where the paper says nothing or its public code is wrong, and what this module does:

- **Thresholds on tasks with negative returns.** There the paper's delta is negative. Here the level of a typical
  segment is mu = H * sum(R) / sum(T) over recent episodes, and its magnitude s = H * sum(|R|) / sum(T). Segments closer
  than eps * s are equal, and a query is skipped when its best segment is below mu by (1 - eps) * s or more. Where no
  return is negative, mu = s and both are the paper's eps * mu. Scaling the reward scales both.
- **More than two segments.** Equality is made transitive by chaining: segments in order of return form one group as
  long as each gap is below the threshold, and a group is then ranked as one thing, by its members' mean. Irrational
  answers draw a Plackett-Luce ranking of the groups, and a mistake swaps two neighbours of that ranking. With two
  segments these are the paper's tie, Bernoulli(softmax) and flip.
- **Returns that are exactly equal** are a tie for a teacher with beta = infinity; the public code prefers the first
  segment. Sums are exactly rounded, so the order of the rewards in a segment cannot break such a tie.

A threshold set to 0 is off, and thresholds wait for the first episode, as in B-Pref. A skipped query is answered with
"can't tell", which is no label and does not use up the label budget.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from prefrl.config import TeacherConfig
from prefrl.config.registry import Registry
from prefrl.data.types import Comparison, Query, Segment
from prefrl.oracles.base import comparison_of

__all__ = ["SYNTHETIC", "TEACHERS", "SyntheticOracle", "check_teacher", "find_teacher"]

SYNTHETIC = "synthetic"
"""annotator that synthetic answers are signed with"""

TEACHERS: Registry[TeacherConfig] = Registry(
    "teacher",
    {
        "oracle": TeacherConfig(),
        "mistake": TeacherConfig(mistake=0.1),
        "noisy": TeacherConfig(beta=1.0),
        "skip": TeacherConfig(skip=0.1),
        "equal": TeacherConfig(equal=0.1),
        "myopic": TeacherConfig(gamma=0.9),
    },
)
"""The teachers of B-Pref (table 1) by name, for ``--teacher``; ``module:name`` is a `TeacherConfig` of your own.

Whoever answers by something else than the true reward is an oracle, not a teacher: see `prefrl.oracles.ORACLES`.
"""

RECENT_EPISODES = 10
"""episodes whose true return sets the thresholds"""


def find_teacher(name: str) -> TeacherConfig:
    """The teacher called ``name``.

    Raises:
        ValueError: when there is none, or ``module:name`` is no `TeacherConfig`.
    """
    teacher: object = TEACHERS.find(name)
    if not isinstance(teacher, TeacherConfig):
        raise ValueError(f"teacher {name!r} is {teacher!r}; a prefrl.config.TeacherConfig is needed")
    return teacher


class SyntheticOracle:
    """A B-Pref teacher. Its random numbers depend on the seed and the query alone, not on earlier answers.

    A restarted process therefore answers the same query the same way, given the same recent episodes.

    Raises:
        ValueError: when a setting of the teacher is out of its range.
    """

    def __init__(self, teacher: TeacherConfig, seed: int, name: str = SYNTHETIC) -> None:
        check_teacher(teacher)
        self.teacher = teacher
        self.seed = seed
        self.name = name
        self._level_per_step = 0.0
        self._magnitude_per_step = 0.0
        self._has_episodes = False

    def observe_episodes(self, episodes: Sequence[tuple[float, int]]) -> None:
        """Set the thresholds from (true return, length in steps) of the newest episodes, the newest last.

        Only the last 10 count, and they replace those of earlier calls. An empty sequence changes nothing.

        Raises:
            ValueError: when an episode has no steps.
        """
        recent = list(episodes)[-RECENT_EPISODES:]
        if not recent:
            return
        shortest = min(length for _, length in recent)
        if shortest < 1:
            raise ValueError(f"an episode has {shortest} steps; at least 1 is needed")
        steps = sum(length for _, length in recent)
        self._level_per_step = math.fsum(true_return for true_return, _ in recent) / steps
        self._magnitude_per_step = math.fsum(abs(true_return) for true_return, _ in recent) / steps
        self._has_episodes = True

    def answer(self, query: Query) -> Comparison:
        """Rank the segments by true return, with this teacher's flaws; "can't tell" where it skips."""
        returns = np.array([discounted_return(segment, 1.0) for segment in query.segments])
        if self._skips(query, returns):
            return comparison_of(query, None, self.name)
        groups = chain_ties(returns, self._equal_below(query))
        judged = np.array([discounted_return(segment, self.teacher.gamma) for segment in query.segments])
        values = np.array([judged[groups == group].mean() for group in range(groups.max() + 1)])
        ranks = _rank(values, self.teacher, np.random.default_rng([self.seed, *_entropy(query)]))
        return comparison_of(query, tuple(int(ranks[group]) for group in groups), self.name)

    def _skips(self, query: Query, returns: np.ndarray) -> bool:
        if self.teacher.skip == 0 or not self._has_episodes:
            return False
        steps = _mean_steps(query)
        shortfall = (self._level_per_step - self._magnitude_per_step) * steps
        return bool(returns.max() <= self.teacher.skip * self._magnitude_per_step * steps + shortfall)

    def _equal_below(self, query: Query) -> float:
        return self.teacher.equal * self._magnitude_per_step * _mean_steps(query)


def discounted_return(segment: Segment, gamma: float) -> float:
    """Sum of gamma^(H - t) r_t, t = 1..H: the last step counts in full, earlier ones less (B-Pref, eq. 4)."""
    weights = gamma ** np.arange(len(segment) - 1, -1, -1, dtype=np.float64)
    return math.fsum(weights * segment.true_rewards)


def chain_ties(returns: np.ndarray, threshold: float) -> np.ndarray:
    """Group the returns (K,) linked by gaps below ``threshold``: numbers (K,) int, from the lowest up."""
    order = np.argsort(returns, kind="stable")
    starts_group = np.concatenate([[0], np.diff(returns[order]) >= threshold]).astype(np.int64)
    groups = np.empty(len(returns), np.int64)
    groups[order] = np.cumsum(starts_group)
    return groups


def _rank(values: np.ndarray, teacher: TeacherConfig, rng: np.random.Generator) -> np.ndarray:
    """Ranks (G,) of the values (G,), 1 the best, as this teacher answers."""
    if math.isinf(teacher.beta):
        _, rank_from_best = np.unique(-values, return_inverse=True)
        ranks = rank_from_best + 1
    else:
        # Sorting scores with Gumbel noise draws a ranking from Plackett-Luce (Yellott 1977).
        perturbed = teacher.beta * values + rng.gumbel(size=len(values))
        ranks = np.argsort(np.argsort(-perturbed)) + 1
    worst = int(ranks.max())
    if worst > 1 and rng.random() < teacher.mistake:
        upper = int(rng.integers(1, worst))
        ranks = np.select([ranks == upper, ranks == upper + 1], [upper + 1, upper], ranks)
    return ranks


def _entropy(query: Query) -> list[int]:
    """The seed of a query's random numbers: its id, or its content before it has one."""
    if query.id is not None:
        return [query.id]
    content = "".join(segment.id for segment in query.segments)
    return [int(hashlib.sha256(content.encode()).hexdigest(), 16)]


def _mean_steps(query: Query) -> float:
    return sum(len(segment) for segment in query.segments) / len(query.segments)


def check_teacher(teacher: TeacherConfig) -> None:
    """Raise ValueError when a setting of the teacher is out of its range."""
    ranges = {
        "beta": (teacher.beta >= 0, "at least 0; infinity is deterministic"),
        "gamma": (0 < teacher.gamma <= 1, "above 0 and at most 1"),
        "mistake": (0 <= teacher.mistake <= 1, "a probability, between 0 and 1"),
        "skip": (0 <= teacher.skip < math.inf, "at least 0; 0 never skips"),
        "equal": (0 <= teacher.equal < math.inf, "at least 0; 0 finds only exact ties"),
    }
    for name, (is_valid, needed) in ranges.items():
        if not is_valid:
            raise ValueError(f"teacher.{name} is {getattr(teacher, name)}; it must be {needed}")
