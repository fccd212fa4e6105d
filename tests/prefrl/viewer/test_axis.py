"""Axes of charts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.viewer.axis import INTERVALS, Axis, nice_axis, round_up

numbers = st.floats(-1e9, 1e9).map(lambda number: round(number, 6))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-13.4, -0.02, ["-16", "-12", "-8", "-4", "0"]),
        (0.0, 1.0, ["0", "0.25", "0.50", "0.75", "1.00"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (1.0, 1.0, ["0", "0.5", "1.0", "1.5", "2.0"]),
        (0.0, 0.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0.0, 3900.0, ["0", "1000", "2000", "3000", "4000"]),
        (0.001, 0.0042, ["0.001", "0.002", "0.003", "0.004", "0.005"]),
    ],
)
def test_labels_by_hand(low: float, high: float, labels: list[str]) -> None:
    assert nice_axis(low, high).labels == labels


@given(numbers, numbers)
def test_an_axis_spans_its_range_without_much_waste(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    axis = nice_axis(low, high)
    slack = 1e-9 * max(abs(low), abs(high))
    assert axis.low <= low + slack
    assert high <= axis.high + slack
    if high - low > 1e-5 * max(abs(low), abs(high)):
        assert axis.high - axis.low <= 3 * (high - low)


@given(numbers, numbers)
def test_labels_are_the_ticks_values(one: float, other: float) -> None:
    axis = nice_axis(min(one, other), max(one, other))
    for tick, label in enumerate(axis.labels):
        assert float(label) == pytest.approx(axis.low + tick * axis.step, abs=axis.step / 50)


def test_ends_are_at_0_and_1() -> None:
    axis = Axis(-4.0, 2.0)
    assert [axis.share(value) for value in (-4.0, 0.0, -4.0 + INTERVALS * 2.0)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_invalid_ranges_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="cannot run from"):
        nice_axis(low, high)


@given(st.integers(1, 10**7))
def test_rounding_up_at_most_doubles(number: int) -> None:
    assert number <= round_up(number) <= 2 * number


def test_rounding_up_by_hand() -> None:
    assert [round_up(number) for number in (1, 9, 10, 11, 26, 101, 999)] == [1, 10, 10, 20, 30, 200, 1000]
