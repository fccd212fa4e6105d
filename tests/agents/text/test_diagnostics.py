"""Each diagnostic on hand-made numbers, with and without its problem."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl_agents.text import diagnostics


def test_ratios_other_than_one_are_detected() -> None:
    assert diagnostics.ratio_off(np.array([1.01, 0.99, 1.0])) is None
    found = diagnostics.ratio_off(np.array([1.3, 0.9]))
    assert found is not None
    assert "differ by 20.0%" in found
    assert diagnostics.ratio_off(np.array([1.0, np.nan])) is not None


class TestTemperature:
    ODDS = np.array([0.5, 2.0, 0.1, 1.0])

    @pytest.mark.parametrize("learning", [ODDS, 1.005 * ODDS])
    def test_the_same_temperature_passes(self, learning: np.ndarray) -> None:
        assert diagnostics.temperature_off(self.ODDS, learning) is None

    def test_another_temperature_is_reported_with_its_factor(self) -> None:
        # Logits over a temperature twice as high are half as far apart.
        found = diagnostics.temperature_off(self.ODDS, self.ODDS / 2)
        assert found is not None
        assert "2.00 times the temperature" in found

    @pytest.mark.parametrize("learning", [ODDS[::-1], -ODDS, ODDS + 1, np.zeros(4)])
    def test_other_differences_are_not_attributed_to_temperature(self, learning: np.ndarray) -> None:
        assert diagnostics.temperature_off(self.ODDS, learning) is None

    def test_a_uniform_policy_passes_at_any_temperature(self) -> None:
        assert diagnostics.temperature_off(np.zeros(4), np.zeros(4)) is None


def test_padding_equal_to_the_end_token_is_detected() -> None:
    found = diagnostics.pad_is_eos(5, 5)
    assert found is not None
    assert "the same, 5" in found
    assert diagnostics.pad_is_eos(5, 6) is None
    assert diagnostics.pad_is_eos(None, None) is None


@pytest.mark.parametrize("ids", [(5, 7), (4, 6), (6, 5), (None, 6), (5, None)])
def test_tokens_of_another_tokenizer_are_detected(ids: tuple[int | None, int | None]) -> None:
    assert diagnostics.other_tokens(5, 6, 5, 6) is None
    found = diagnostics.other_tokens(*ids, 5, 6)
    assert found is not None
    assert f"{ids[0]} for padding and {ids[1]} for the end" in found


def test_dropout_is_detected() -> None:
    first = np.array([-1.0, -2.0, -0.5])
    assert diagnostics.dropout_on(first, first + 1e-5) is None
    found = diagnostics.dropout_on(first, first + np.array([0.0, -0.25, 0.1]))
    assert found is not None
    assert "0.25 nats apart" in found
    assert diagnostics.dropout_on(first, first + np.nan) is not None


@pytest.mark.parametrize(
    ("deviation", "complaint"), [(0.1, "hardly differ"), (1.0, None), (4.9, None), (9.0, "differ widely")]
)
def test_rewards_of_unusual_size_are_detected(deviation: float, complaint: str | None) -> None:
    found = diagnostics.reward_scale(np.array([3 - deviation, 3 + deviation]))
    assert (found is None) == (complaint is None)
    if found is not None:
        assert f"{complaint}: their deviation is {deviation:.2f}" in found


class TestNegativeKL:
    @pytest.mark.parametrize("kl", [[], [0.0], [3.0, 4.0], [-0.05, 0.02], [-9.0, *[2.0] * 10]])
    def test_no_kl_or_noise_passes(self, kl: list[float]) -> None:
        assert diagnostics.negative_kl(kl) is None

    def test_a_negative_kl_in_the_last_rollouts_is_reported(self) -> None:
        found = diagnostics.negative_kl([9.0, *[-0.5] * 10])
        assert found is not None
        assert "-0.50 nats" in found
        assert "another temperature, top-k, forced tokens, or padding" in found

    def test_a_kl_that_is_not_finite_is_reported(self) -> None:
        found = diagnostics.negative_kl([1.0, float("nan"), 1.0])
        assert found is not None
        assert "not finite" in found


def groups(*rewards: list[float]) -> list[np.ndarray]:
    return [np.array(each) for each in rewards]


def test_groups_without_reward_variance_are_detected() -> None:
    assert diagnostics.groups_without_variance(groups([1.0, 1.0], [0.0, 1.0])) is None
    # The same text beside others is rounded otherwise; a single response says nothing.
    found = diagnostics.groups_without_variance(groups([1.0, 1.000001], [2.0, 2.0, 2.0], [0.0, 1.0], [4.0]))
    assert found is not None
    assert "67% of the prompts" in found
    assert diagnostics.groups_without_variance(groups([4.0], [5.0])) is None


class TestSimilarTexts:
    # Three, and one, of three pairs of neighbours are different ones.
    VARIED, ALIKE = [[1, 2], [2, 3], [3, 1]], [[1, 2]] * 3

    def test_rising_reward_with_similar_texts_is_detected(self) -> None:
        found = diagnostics.alike(self.VARIED, self.ALIKE, [0.0, 1.0])
        assert found is not None
        assert "33% are different ones, 100% at first" in found

    def test_similar_texts_without_a_rise_or_a_rise_with_varied_texts_pass(self) -> None:
        assert diagnostics.alike(self.VARIED, self.ALIKE, [1.0, 1.0]) is None
        assert diagnostics.alike(self.VARIED, self.VARIED, [0.0, 1.0]) is None
        assert diagnostics.alike(self.ALIKE, self.VARIED, [0.0, 1.0]) is None


class TestLength:
    SHORT, LONG = np.array([4, 5, 6]), np.array([8, 10, 12])

    def test_rewarded_growth_in_length_is_detected(self) -> None:
        found = diagnostics.length_hacking(self.SHORT, self.LONG, self.LONG / 10)
        assert found is not None
        assert "from 5 to 10 tokens" in found
        assert "correlation 1.00" in found

    @pytest.mark.parametrize(
        ("late", "rewards"),
        [
            (SHORT, SHORT / 10),  # not grown
            (LONG, -LONG / 10),  # the shorter the better
            (LONG, np.array([1.0, 0.0, 1.0])),
            (LONG, np.ones(3)),
        ],
    )
    def test_growth_or_length_reward_alone_passes(self, late: np.ndarray, rewards: np.ndarray) -> None:
        assert diagnostics.length_hacking(self.SHORT, late, rewards) is None
