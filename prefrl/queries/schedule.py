"""When labels fall due, by the policy's step (Christiano et al. 2017, appendix A)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prefrl.config import RunConfig, ScheduleConfig

__all__ = ["LabelSchedule", "check_schedule", "initial_segments"]


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

    @property
    def initial(self) -> int:
        """Labels due at step 0: the initial share, rounded, but at least one of a budget above 0."""
        return min(self.labels, max(1, round(self.labels * self.config.initial_share)))

    def initial_segments(self, items: int, pool_segments: int) -> int:
        """Segments to record before the first queries of ``items`` each, as far as the pool can hold them.

        Enough that no initial query has to share one, and that one side of the validation split has a
        whole query's worth, wherever the segments fall.
        """
        return min(max(self.initial * items, 2 * items - 1), pool_segments)

    def due(self, step: int) -> int:
        """Labels that should have been asked by agent step ``step``, in all; never falls as the step grows.

        Exactly ``labels`` from step ``ends_at * steps`` on. The hyperbolic rate is proportional to
        T0 / (step + T0), T0 = half_life_steps, so what is due grows with its integral, log(1 + step / T0).

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
        # Of an end that is next to no step away, the logarithm is 0.
        return self.initial + (math.floor(rest * self._share_by(step) / whole) if whole else 0)

    def _share_by(self, step: float) -> float:
        """Integral of the label rate from 0 to ``step``, up to a factor."""
        half_life, level = self.config.half_life_steps, self.config.level_steps
        if self.config.kind == "constant":
            return step
        if level == 0:
            return math.log1p(step / half_life)
        whole, rest = divmod(step, level)
        return sum(level / (index * level + half_life) for index in range(int(whole))) + rest / (
            whole * level + half_life
        )


def check_schedule(labels: int, steps: int, config: ScheduleConfig) -> None:
    """Raise ValueError unless a run can be given this budget and schedule; a budget of 0 is refused."""
    LabelSchedule(labels, steps, config)
    if labels == 0:
        raise ValueError(
            "the label budget is 0, so no reward could be learned; ask for at least 1 label, "
            "or start from a saved learned reward without the preference loop"
        )


def initial_segments(config: RunConfig) -> int:
    """Segments to record before the first queries are chosen."""
    schedule = LabelSchedule(config.labels, config.steps, config.schedule)
    room = min(config.runtime.pool_segments, config.queries.window_segments)
    return schedule.initial_segments(config.queries.items, room)
