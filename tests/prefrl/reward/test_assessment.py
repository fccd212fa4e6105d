"""How well a learned reward predicts: figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prefrl.config import RewardConfig
from prefrl.data.types import CANT_TELL, Comparison, LabelledQuery, Provenance, Query, Segment
from prefrl.reward import LearnedReward
from prefrl.reward.assessment import Assessor, pair_predictions


class ObservationsAreReturns:
    """Stands in for a learned reward of two members: the observation, and twice it."""

    def __init__(self, label_noise: float, kind: str = "box") -> None:
        self.config = RewardConfig(label_noise=label_noise)
        self.observation_spec = SimpleNamespace(kind=kind, is_image=False)

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return observations.sum(axis=1) if observations.ndim > 1 else observations

    def preference_probabilities(self, queries: list[Query]) -> np.ndarray:
        returns = np.array([[float(item.observations.sum()) for item in query.segments] for query in queries])
        weights = np.exp(np.stack([returns, 2 * returns]))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def fake(label_noise: float = 0.0) -> LearnedReward:
    return cast(LearnedReward, ObservationsAreReturns(label_noise))


def segment(value: float, true_return: float = 0.0) -> Segment:
    false = np.zeros(1, bool)
    return Segment(
        np.array([value], np.float32),
        np.zeros(1),
        np.array([true_return], np.float32),
        false,
        false,
        Provenance("Test-v0", 0, 0, 0),
    )


def labelled(ranks: Any, *values: float) -> LabelledQuery:
    return LabelledQuery(Query(tuple(segment(value) for value in values)), Comparison(1, ranks))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_pairs_of_a_ranking_are_predicted_as_if_alone() -> None:
    items = [labelled((1, 3, 2), 1.0, -1.0, 0.5), labelled(CANT_TELL, 0.0, 9.0), labelled((1, 1), 0.0, 3.0)]
    probabilities, outcomes = pair_predictions(fake(), items)
    differences = [2.0, 0.5, -1.5, -3.0]
    by_hand = [(sigmoid(difference) + sigmoid(2 * difference)) / 2 for difference in differences]
    np.testing.assert_allclose(probabilities, by_hand, rtol=1e-5)
    np.testing.assert_array_equal(outcomes, [1.0, 1.0, 0.0, 0.5])


def test_label_noise_is_part_of_the_prediction() -> None:
    probabilities, _ = pair_predictions(fake(label_noise=0.2), [labelled((1, 2), 40.0, 0.0)])
    assert probabilities == pytest.approx([0.9])


def test_assessment_by_hand() -> None:
    assessor = Assessor(fake(label_noise=0.2))
    assessor.predict_answers([labelled((1, 2), 40.0, 0.0)])
    assessor.predict_answers([labelled((2, 1), 40.0, 0.0)])
    for value in (0.0, 1.0, 3.0):
        assessor.predict_returns([segment(value, true_return=-2 * value)] * 2)
    assessment = assessor.assessment()
    assert assessment.pairs == 2
    assert assessment.calibration_error == pytest.approx(0.4)
    assert assessment.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.1)) / 2)
    assert assessment.correlation_true_return == pytest.approx(-1.0)


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    empty = Assessor(fake())
    empty.predict_answers([])
    assert empty.assessment().calibration_error is None
    assert empty.assessment().log_loss is None
    assert empty.assessment().correlation_true_return is None
    empty.predict_returns([segment(1.0), segment(2.0)])  # their true return was never known
    assert empty.assessment().correlation_true_return is None


def text(response_tokens: int, id_of_a_token: int) -> Segment:
    """A response to a prompt of two tokens, as the step that ends it; it is worth the sum of all these numbers."""
    return replace(
        segment(0.0),
        observations=np.array([[2 + response_tokens - 1, 2, id_of_a_token]], np.int32),
        actions=np.zeros(1, np.int64),
    )


def test_texts_are_assessed_by_their_length_too() -> None:
    short, middle, long = text(1, 0), text(2, 8), text(3, 1)
    assessor = Assessor(cast(LearnedReward, ObservationsAreReturns(0.0, kind="tokens")))
    answers = [
        (Query((short, middle, long)), (2, 1, 2)),  # longer, shorter, and a tie
        (Query((short, long)), (2, 1)),  # longer
        (Query((middle, text(2, 9))), (1, 2)),  # equally long
        (Query((short, long)), CANT_TELL),
    ]
    assessor.predict_answers([LabelledQuery(query, Comparison(1, ranks)) for query, ranks in answers])
    assessor.predict_returns([short, middle, long])
    found = assessor.assessment()
    assert found.accuracy_longer == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    # worth 4, 13 and 7: deviations -4, 5, -1 and of the lengths -1, 0, 1
    assert found.length_bias == pytest.approx(3 / math.sqrt(42 * 2))


def test_what_is_no_text_has_no_length() -> None:
    assessor = Assessor(fake())
    assessor.predict_answers([labelled((1, 2), 1.0, 0.0)])
    assessor.predict_returns([segment(1.0), segment(2.0)])
    assert assessor.assessment().length_bias is assessor.assessment().accuracy_longer is None
