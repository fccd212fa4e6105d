"""Round numbers for the axes of a chart."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["INTERVALS", "Axis", "nice_axis", "round_up"]

INTERVALS = 4
"""between ticks; the same on every axis, so that two axes can share grid lines"""
_STEPS = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """`INTERVALS` equal intervals from ``low``, each ``step`` wide."""

    low: float
    step: float

    @property
    def high(self) -> float:
        """Upper end."""
        return self.low + INTERVALS * self.step

    @property
    def labels(self) -> list[str]:
        """Labels of the ticks, from the lowest up, with as few decimals as needed."""
        decimals = max(0, 1 - math.floor(math.log10(self.step)))
        texts = [f"{self.low + number * self.step:.{decimals}f}" for number in range(INTERVALS + 1)]
        while "." in texts[0] and all(text.endswith(("0", ".")) for text in texts):
            texts = [text[:-1] for text in texts]
        return ["0" if float(text) == 0 else text for text in texts]

    def share(self, value: float) -> float:
        """Position of ``value`` on the axis, 0 at the lower end and 1 at the upper."""
        return (value - self.low) / (self.high - self.low)


def nice_axis(low: float, high: float) -> Axis:
    """The tightest axis in round steps (see `_STEPS`) that holds ``low`` to ``high``.

    Raises:
        ValueError: if the ends are not finite, or not in order.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"an axis cannot run from {low} to {high}; two finite numbers in order are needed")
    # A range as small as a rounding error counts as constant; a constant is shown in the middle of the axis.
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        half = max(abs(low), abs(high)) or 1.0
        low, high = low - half, high + half
    power = 10.0 ** math.floor(math.log10((high - low) / INTERVALS))
    # The axis starts at a multiple of its step, so it may need a longer step; 10 times the smallest always suffices.
    for step in (power * factor * tens for tens in (1.0, 10.0) for factor in _STEPS):
        start = math.floor(low / step) * step
        if start + INTERVALS * step >= high:
            return Axis(start, step)
    raise AssertionError("unreachable: the longest step spans the range and a step more")


def round_up(number: int) -> int:
    """The smallest round number (see `_STEPS`) of at least ``number``, which is at least 1."""
    power = 10 ** math.floor(math.log10(number))
    return next(math.ceil(power * factor) for factor in _STEPS if power * factor >= number)
