"""Supervised fine-tuning, DPO and GRPO: what they learn, and what they leave unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from prefrl.config import DPOConfig, FineTuningConfig, GRPOConfig
from prefrl.text.models import Generation, LanguageModel, generate
from prefrl_agents.text import (
    DPO,
    GRPO,
    DPOReport,
    RankedResponses,
    Sequences,
    fine_tune,
    mean_loss,
    response_log_probs,
)

PAD, EOS, VOCAB, ROOM = 6, 7, 8, 12


def model(seed: int = 0) -> LanguageModel:
    return LanguageModel.create("tiny", VOCAB, ROOM, PAD, EOS, seed)


def copying(count: int, seed: int = 0) -> Sequences:
    """Prompts of two tokens whose responses repeat them."""
    prompts = np.random.default_rng(seed).integers(0, 6, (count, 2)).tolist()
    return Sequences.of(prompts, [[*prompt, EOS] for prompt in prompts], PAD)


class TestSequences:
    def test_mask_is_one_on_responses(self) -> None:
        sequences = Sequences.of([[1, 2], [3]], [[4, EOS], [5, 5, 5, EOS]], PAD)
        # Of the tokens from the second on.
        assert sequences.mask.int().tolist() == [[0, 1, 1, 0], [1, 1, 1, 1]]
        assert sequences.num_response_tokens == 6

    def test_log_probs_are_those_of_each_token_given_what_is_before_it(self) -> None:
        language_model, sequences = model(), Sequences.of([[1, 2], [3]], [[4, EOS], [5, 5, 5, EOS]], PAD)
        found = response_log_probs(language_model, sequences, temperature=0.5)
        for row, text in enumerate(([1, 2, 4, EOS], [3, 5, 5, 5, EOS])):
            for place in range(int(sequences.prompt_lengths[row]), len(text)):
                logits = (
                    language_model.logits(language_model.hidden(torch.tensor([text[:place]])))[0, -1] / 0.5
                )
                torch.testing.assert_close(
                    found[row, place - 1], logits.log_softmax(-1)[text[place]], atol=1e-4, rtol=0
                )
        assert (found[~sequences.mask] == 0).all()

    def test_chunks_hold_every_text_once_and_few_tokens(self) -> None:
        lengths = [3, 9, 4, 11, 3, 6]
        sequences = Sequences.of([[1]] * 6, [[2] * (n - 1) for n in lengths], PAD)
        chunks = list(sequences.chunks(12))
        assert sorted(torch.cat(chunks).tolist()) == list(range(6))
        assert all(len(rows) * max(lengths[row] for row in rows.tolist()) <= 12 for rows in chunks)

    def test_empty_texts_are_refused(self) -> None:
        with pytest.raises(ValueError, match="a prompt of 1 tokens with a response of 0"):
            Sequences.of([[1]], [[]], PAD)


class TestFineTuning:
    @pytest.mark.slow
    def test_learns_to_copy(self) -> None:
        language_model = model()
        losses = fine_tune(language_model, copying(600), FineTuningConfig(epochs=8, learning_rate=3e-3))
        assert losses[-1] < 0.1 < losses[0]
        assert mean_loss(language_model, copying(50, seed=1)) < 0.1

    def test_prompts_are_not_learned(self) -> None:
        """Demonstrations with the same responses and prompts of one kind do not change prompt probabilities."""
        language_model = model()
        prompts = [[1, 1, 1]] * 64
        before = response_log_probs(language_model, Sequences.of([[1]], [[1, 1]], PAD)).sum()
        fine_tune(language_model, Sequences.of(prompts, [[2, EOS]] * 64, PAD), FineTuningConfig(epochs=5))
        after = response_log_probs(language_model, Sequences.of([[1]], [[1, 1]], PAD)).sum()
        assert after < before + 0.5

    def test_same_seed_same_weights(self) -> None:
        first, second = model(), model()
        for each in (first, second):
            fine_tune(each, copying(64), FineTuningConfig(epochs=1), seed=3)
        for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    def test_nothing_to_learn_from_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no demonstrations"):
            fine_tune(model(), Sequences.of([], [], PAD), FineTuningConfig())


def ranked(count: int, seed: int = 0) -> RankedResponses:
    """Responses of three tokens, ranked by how many of them are token 0."""
    rng = np.random.default_rng(seed)
    prompts = rng.integers(1, 6, (count, 2)).tolist()
    responses = rng.integers(0, 3, (count, 3, 3))
    # Never all alike, which would say nothing.
    responses[:, 0], responses[:, 1, 0] = 0, 1
    zeros = (responses == 0).sum(axis=2)
    ranks = [[1 + int((group > score).sum()) for score in group] for group in zeros]
    return RankedResponses.of(
        prompts, [[[*r, EOS] for r in group] for group in responses.tolist()], ranks, PAD
    )


class TestDPO:
    @pytest.mark.slow
    def test_learns_what_is_preferred(self) -> None:
        dpo = DPO(model(), DPOConfig(epochs=3, learning_rate=1e-3))
        before, held_out = dpo.evaluate(ranked(100, seed=1)), ranked(100, seed=1)
        reports = dpo.train(ranked(300))
        after = dpo.evaluate(held_out)
        assert before.accuracy == 0.5, "log-ratios to itself are all zero, whatever batches float32 rounds in"
        assert before.loss == pytest.approx(np.log(2), abs=1e-5)
        assert after.accuracy > 0.9
        assert reports[-1].margin > reports[0].margin > 0
        assert after.best_log_ratio > after.worst_log_ratio

    def test_every_minibatch_is_reported(self) -> None:
        dpo, told = DPO(model(), DPOConfig(epochs=2, batch_size=10, learning_rate=1e-3)), list[DPOReport]()
        reports = dpo.train(ranked(30), told.append)
        assert len(told) == dpo.num_steps(ranked(30)) == 6
        assert told[0].loss == pytest.approx(np.log(2), abs=1e-5), "before anything was learned"
        for epoch, report in enumerate(reports):
            parts = told[3 * epoch : 3 * epoch + 3]
            assert report.loss == pytest.approx(np.mean([part.loss for part in parts]))

    def test_the_reference_does_not_change(self) -> None:
        language_model = model()
        dpo, rankings = DPO(language_model, DPOConfig(learning_rate=1e-3)), ranked(30)
        before = dpo.reference_log_probs(rankings)
        dpo.train(rankings)
        torch.testing.assert_close(dpo.reference_log_probs(rankings), before)

    def test_adapters_are_their_own_reference(self) -> None:
        dpo, rankings = DPO(model().with_lora(4), DPOConfig(learning_rate=1e-2, epochs=2)), ranked(60)
        before = dpo.reference_log_probs(rankings)
        reports = dpo.train(rankings)
        torch.testing.assert_close(dpo.reference_log_probs(rankings), before, atol=1e-4, rtol=1e-4)
        assert dpo.reference is None
        assert reports[-1].accuracy > 0.6

    def test_trained_adapters_are_part_of_the_reference(self) -> None:
        language_model = model().with_lora(4)
        DPO(language_model, DPOConfig(learning_rate=1e-2, epochs=2)).train(ranked(60))
        again = DPO(language_model, DPOConfig())
        report = again.evaluate(ranked(60))
        assert report.loss == pytest.approx(np.log(2), abs=1e-4), "the reference is the model as it is now"
        assert report.accuracy == 0.5

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"label_smoothing": 0.1}, "the other kinds ignore it"),
            ({"kind": "robust"}, "need label_smoothing above 0"),
            ({"kind": "cdpo", "label_smoothing": 0.5}, "just below .5"),
        ],
    )
    def test_smoothing_without_effect_is_refused(self, settings: dict[str, Any], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            DPOConfig(**settings)

    def test_rankings_of_different_lengths_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"rankings of \[2, 3\] responses"):
            RankedResponses.of([[1], [2]], [[[1], [2]], [[1], [2], [3]]], [[1, 2], [1, 2, 3]], PAD)


def count_zeros(generation: Generation) -> np.ndarray:
    return np.array([response.count(0) for response in generation.responses()], np.float32)


class TestGRPO:
    @pytest.mark.slow
    @pytest.mark.parametrize("aggregation", ["grpo", "dapo", "dr_grpo"])
    def test_learns_what_is_rewarded(self, aggregation: str) -> None:
        config = GRPOConfig(steps=40, prompts=4, group_size=16, learning_rate=3e-3, aggregation=aggregation)  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        reports = GRPO(model(), config, 5).train(lambda n: rng.integers(1, 6, (n, 2)).tolist(), count_zeros)
        assert reports[0].reward < 1.5
        assert reports[-1].reward > 4

    def test_a_kl_penalty_keeps_the_policy_near_the_reference(self) -> None:
        found = []
        for coefficient in (0.001, 1.0):
            config = GRPOConfig(
                steps=25, prompts=4, group_size=16, learning_rate=3e-3, kl_coefficient=coefficient
            )
            rng = np.random.default_rng(0)
            found.append(
                GRPO(model(), config, 5).train(
                    lambda n, rng=rng: rng.integers(1, 6, (n, 2)).tolist(), count_zeros
                )
            )
        assert found[0][0].kl == pytest.approx(0, abs=1e-5)
        assert found[1][-1].kl < 0.5 * found[0][-1].kl

    def test_groups_without_differences_teach_nothing(self) -> None:
        language_model = model()
        before = [weight.clone() for weight in language_model.parameters()]
        grpo = GRPO(language_model, GRPOConfig(steps=2, prompts=2, group_size=4), 5)
        reports = grpo.train(lambda n: [[1]] * n, lambda generation: np.ones(len(generation.ids)))
        assert [report.zero_std_share for report in reports] == [1.0, 1.0]
        for ours, theirs in zip(language_model.parameters(), before, strict=True):
            assert torch.equal(ours, theirs)

    @pytest.mark.parametrize(
        ("rewards", "complaint"),
        [(np.full(8, np.nan), "8 of them not finite"), (np.ones(3), "8 texts were scored")],
    )
    def test_invalid_rewards_are_refused(self, rewards: np.ndarray, complaint: str) -> None:
        grpo = GRPO(model(), GRPOConfig(steps=1, prompts=2, group_size=4), 5)
        with pytest.raises(ValueError, match=complaint):
            grpo.train(lambda n: [[1]] * n, lambda _: rewards)

    def test_a_group_of_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="group_size is 1"):
            GRPOConfig(group_size=1)


def test_sampled_texts_have_the_log_probs_they_were_sampled_with() -> None:
    language_model = model()
    found = generate(
        language_model, [[1, 2]] * 2000, 1, temperature=0.6, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        log_probs = response_log_probs(language_model, Sequences.generated(found), temperature=0.6)[:, -1]
        logits = language_model.logits(language_model.hidden(torch.tensor([[1, 2]])), 0.6)[0, -1]
    # The mean log-probability of samples is minus the entropy.
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    assert float(log_probs.mean()) == pytest.approx(-float(entropy), abs=0.06)
