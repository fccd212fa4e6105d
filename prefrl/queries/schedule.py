"""When labels fall due, by the policy's step (Christiano et al. 2017, appendix A)."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from prefrl.config import RunConfig, ScheduleConfig

__all__ = ["MAX_LEVELS", "LabelSchedule", "check_schedule", "initial_segments"]

MAX_LEVELS = 1_000_000
"""levels of a schedule, whose sums are held in memory"""


@dataclass(frozen=True)
class LabelSchedule:
    """Spreads a label budget over a run: a share at the start, the rest at a constant or a falling rate.

    Raises:
        ValueError: when a number is out of its range.
    """

    labels: int
    """the whole budget; 0 never asks (a run refuses that, see `check_schedule`)"""
    steps: int
    """agent steps of the whole run, over all environments"""
    config: ScheduleConfig

    def __post_init__(self) -> None:
        if self.labels < 0:
            raise ValueError(f"the label budget is {self.labels}; it cannot be negative")
        if self.steps < 1:
            raise ValueError(f"the run has {self.steps} steps; at least 1 is needed")
        for name in ("initial_share", "ends_at"):
            share = getattr(self.config, name)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"schedule.{name} is {share}; a share between 0 and 1 is needed")
        if self.config.half_life_steps <= 0:
            raise ValueError(f"schedule.half_life_steps is {self.config.half_life_steps}; it must be above 0")
        if self.config.level_steps < 0:
            raise ValueError(f"schedule.level_steps is {self.config.level_steps}; 0 or more is needed")
        if self.config.kind not in ("hyperbolic", "constant"):
            raise ValueError(f"schedule.kind is {self.config.kind!r}; it must be 'hyperbolic' or 'constant'")
        if self._num_levels > MAX_LEVELS:
            raise ValueError(
                f"schedule.level_steps is {self.config.level_steps}, which cuts {self.steps:,} steps into "
                f"{self._num_levels:,} levels; at most {MAX_LEVELS:,} are possible: raise it, or set it to 0, which "
                "lets the rate fall smoothly"
            )

    @property
    def initial(self) -> int:
        """Labels due at step 0: the initial share, rounded, but at least one of a budget above 0."""
        return min(self.labels, max(1, round(self.labels * self.config.initial_share)))

    def initial_segments(self, items: int, pool_segments: int) -> int:
        """Segments to record before the first queries of ``items`` each, at most ``pool_segments``.

        Enough that no two initial queries share one, and that one side of the validation split has enough for a
        query, however the split falls.
        """
        return min(max(self.initial * items, 2 * items - 1), pool_segments)

    def due(self, step: int) -> int:
        """Labels in all that should have been asked by agent step ``step``; never falls as the step grows.

        Exactly ``labels`` from step ``ends_at * steps`` on. The hyperbolic rate is proportional to
        T0 / (step + T0), T0 = half_life_steps, so the labels due grow with its integral, log(1 + step / T0). With
        ``level_steps`` L the rate is constant within each L steps, T0 / (i L + T0) in the i-th.

        Raises:
            ValueError: when the step is negative.
        """
        if step < 0:
            raise ValueError(f"step is {step}; it cannot be negative")
        last_step = self.config.ends_at * self.steps
        if step >= last_step:
            return self.labels
        rest = self.labels - self.initial
        whole = self._share_by(last_step)
        # The logarithm is 0 where the last label falls due a tiny fraction of a step after the start.
        return self.initial + (math.floor(rest * self._share_by(step) / whole) if whole else 0)

    def _share_by(self, step: float) -> float:
        """Integral of the label rate from 0 to ``step``, up to a factor."""
        half_life, level = self.config.half_life_steps, self.config.level_steps
        if self.config.kind == "constant":
            return step
        if level == 0:
            return math.log1p(step / half_life)
        whole, rest = divmod(step, level)
        return _level_sums(level, half_life, self._num_levels)[int(whole)] + rest / (
            whole * level + half_life
        )

    @property
    def _num_levels(self) -> int:
        """Whole levels before the last label; 0 where the rate has none."""
        if self.config.kind == "constant" or self.config.level_steps == 0:
            return 0
        return int(self.config.ends_at * self.steps // self.config.level_steps)


@lru_cache(maxsize=8)
def _level_sums(level_steps: int, half_life_steps: int, num_levels: int) -> array[float]:
    """Integral of the rate over the first 0, 1, ..., ``num_levels`` levels, shape (num_levels + 1,)."""
    rates = (level_steps / (index * level_steps + half_life_steps) for index in range(num_levels))
    return array("d", accumulate(rates, initial=0.0))


def check_schedule(labels: int, steps: int, config: ScheduleConfig) -> None:
    """Raise ValueError unless a run can have this label budget and schedule; a budget of 0 is refused."""
    LabelSchedule(labels, steps, config)
    if labels == 0:
        raise ValueError(
            "the label budget is 0, so no reward could be learned; ask for at least 1 label, or train on a saved "
            "learned reward without the preference loop"
        )


def initial_segments(config: RunConfig) -> int:
    """Segments to record before the first queries are chosen."""
    schedule = LabelSchedule(config.labels, config.steps, config.schedule)
    room = min(config.runtime.pool_segments, config.queries.window_segments)
    return schedule.initial_segments(config.queries.items, room)
