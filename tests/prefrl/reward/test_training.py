from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import prefrl.reward.training as trainer_module
from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery, Segment
from prefrl.reward import RewardFileError, RewardTrainer
from prefrl.reward.networks import EnsembleLinear, MLPEnsemble
from prefrl.reward.tensor_files import write_tensors
from prefrl.reward.training import FORMAT, L2_LIMITS, EpochLosses

MakeSegment = Callable[..., Segment]
MakeLabel = Callable[..., LabelledQuery]
Specs = tuple[SpaceSpec, SpaceSpec]

SMALL = RewardConfig(hidden=(16,), learning_rate=3e-3, dropout=0.1)


@pytest.fixture
def labels(make_segment: MakeSegment, make_label: MakeLabel) -> list[LabelledQuery]:
    """40 pairs, answered by the first feature."""
    pairs = [(make_segment(2 * q), make_segment(2 * q + 1)) for q in range(40)]
    returns = [[segment.observations[:, 0].sum() for segment in pair] for pair in pairs]
    return [
        make_label(q, *pair, ranks=(1, 2) if first > second else (2, 1), comparison_id=q + 1)
        for q, (pair, (first, second)) in enumerate(zip(pairs, returns, strict=True))
    ]


def trainer(
    specs: Specs, labels: list[LabelledQuery], config: RewardConfig = SMALL, seed: int = 0
) -> RewardTrainer:
    made = RewardTrainer(*specs, config, seed)
    made.update(labels)
    return made


def same(first: RewardTrainer, second: RewardTrainer) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_same_comparisons_and_seed_give_the_same_weights(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    global_state = torch.get_rng_state()
    runs = [trainer(vector_specs, labels) for _ in range(2)]
    torch.rand(3)
    for run in runs:
        run.fit(3)
    torch.set_rng_state(global_state)
    assert same(*runs)
    other = trainer(vector_specs, labels, seed=1)
    other.fit(3)
    assert not same(runs[0], other)


def test_global_random_state_is_left_alone(vector_specs: Specs, labels: list[LabelledQuery]) -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002 - what must not move
    trainer(vector_specs, labels).fit(2)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_equal(np.random.get_state(legacy=False), before[1])  # noqa: NPY002


def test_handing_all_comparisons_over_again_changes_nothing(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    once, often = trainer(vector_specs, labels), trainer(vector_specs, labels[:20])
    often.update(labels[10:])
    often.update(labels)
    once.fit(2)
    often.fit(2)
    assert same(once, often)


def test_a_superseded_answer_is_no_longer_learned_from(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    """As the store delivers it: all answers so far, then a newer one of the same annotator to the same query."""

    def superseding(label: LabelledQuery, ranks: tuple[int, ...] | None) -> LabelledQuery:
        newer = replace(label.comparison, ranks=ranks, id=100, supersedes=label.comparison.id)
        return replace(label, comparison=newer)

    first, second = labels[0], labels[1]
    assert second.comparison.ranks is not None
    reversed_ranks = second.comparison.ranks[::-1]
    for withdrawn, kept in (
        (superseding(first, None), labels[1:]),
        (superseding(second, reversed_ranks), [first, *labels[2:], superseding(second, reversed_ranks)]),
    ):
        changed, expected = trainer(vector_specs, labels), trainer(vector_specs, kept)
        changed.update([withdrawn])
        assert changed.num_labels == len(kept)
        for each in (changed, expected):
            each.fit(2)
        assert same(changed, expected)


def test_a_restarted_trainer_goes_on_bit_for_bit(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path
) -> None:
    whole = trainer(vector_specs, labels)
    whole.fit(2)
    whole.save_state(tmp_path / "state.safetensors")
    whole.fit(2)
    restarted = trainer(vector_specs, labels, seed=0)
    restarted.load_state(tmp_path / "state.safetensors")
    restarted.fit(2)
    assert same(whole, restarted)


def test_state_of_other_settings_is_refused(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path
) -> None:
    trainer(vector_specs, labels).save_state(tmp_path / "state")
    with pytest.raises(RewardFileError, match="was trained with config"):
        trainer(vector_specs, labels, replace(SMALL, hidden=(8,))).load_state(tmp_path / "state")
    with pytest.raises(RewardFileError, match="was trained with observations"):
        RewardTrainer(SpaceSpec("box", (4,), "float32"), vector_specs[1], SMALL, 0).load_state(
            tmp_path / "state"
        )


def test_a_state_that_is_not_of_such_a_trainer_is_refused_and_changes_nothing(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path
) -> None:
    whole, run = trainer(vector_specs, labels), trainer(vector_specs, labels, seed=1)
    whole.fit(1)
    run.fit(1)
    before, sound = run.state_dict(), whole.state_dict()
    for name, tensor, said in (
        ("l2", torch.zeros(2), "'l2' is"),
        ("l2", sound["l2"].double(), "'l2' is torch.float64"),
        ("network.layers.0.weight", torch.zeros(1), "is needed"),
        ("adam.0.exp_avg", torch.zeros(1), "is needed"),
        ("adam.99.step", torch.zeros(()), "'adam.99.step' is not expected"),
        ("random_state", torch.zeros_like(sound["random_state"]), "is not the state of such a trainer"),
        ("fit", torch.full((4,), torch.nan, dtype=torch.float64), "is not the state of such a trainer"),
        ("more", torch.zeros(1), "'more' is not expected"),
    ):
        write_tensors(tmp_path / "state", FORMAT, sound | {name: tensor}, run._description())
        with pytest.raises(RewardFileError, match=said):
            run.load_state(tmp_path / "state")
        after = run.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before), name


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.1, 0.5, 0.9, 0.9999])
def test_a_damaged_state_is_refused_and_changes_nothing(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path, share: float
) -> None:
    path, run = tmp_path / "state", trainer(vector_specs, labels)
    run.fit(1)
    run.save_state(path)
    run.fit(1)
    before, whole = run.state_dict(), path.read_bytes()
    at = int(share * len(whole))
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 8]) + whole[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(RewardFileError, match=r"state (is damaged|is no|has version)"):
            run.load_state(path)
        after = run.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_device_is_no_part_of_a_saved_state(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path
) -> None:
    trainer(vector_specs, labels, replace(SMALL, device="cpu")).save_state(tmp_path / "state")
    trainer(vector_specs, labels, replace(SMALL, device="auto")).load_state(tmp_path / "state")


def test_training_learns_and_reports(vector_specs: Specs, labels: list[LabelledQuery]) -> None:
    run = trainer(vector_specs, labels)
    seen: list[int] = []
    first = run.fit(1)
    last = run.fit(40, on_epoch=seen.append)
    assert seen == list(range(1, 41))
    assert (first.epochs, last.epochs) == (1, 40)
    assert first.train_loss is not None
    assert last.train_loss is not None
    assert last.out_of_bag_loss is not None
    assert last.train_loss < first.train_loss - 0.2
    assert last.train_accuracy is not None
    assert last.train_accuracy > 0.9
    assert last.validation_pairs == run._dataset.num_validation
    assert not last.diverged


def test_regression_fits_the_true_returns_and_no_other_loss_sees_them(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    """The answers go by the first feature; the true rewards are made the second."""

    def by_second_feature(segment: Segment) -> Segment:
        return replace(segment, true_rewards=segment.observations[:, 1])

    told = [
        replace(
            label,
            query=replace(label.query, segments=tuple(map(by_second_feature, label.query.segments))),
        )
        for label in labels
    ]
    segments = [segment for label in told for segment in label.query.segments]
    for loss, feature in (("regression", 1), ("bradley_terry", 0)):
        run = trainer(vector_specs, told, replace(SMALL, loss=loss, dropout=0.0))
        run.fit(60)
        reward = run.snapshot(1)
        predicted = [reward.predict(each.observations, each.actions).sum() for each in segments]
        expected = [each.observations[:, feature].sum() for each in segments]
        assert np.corrcoef(predicted, expected)[0, 1] > 0.9


def test_without_comparisons_nothing_is_fitted(vector_specs: Specs) -> None:
    run = RewardTrainer(*vector_specs, SMALL, 0)
    before = run.state_dict()
    report = run.fit(5)
    assert (report.epochs, report.train_loss, report.train_accuracy, report.validation_pairs) == (
        0,
        None,
        None,
        0,
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in run.state_dict().items())
    with pytest.raises(ValueError, match="normalised on labelled segments"):
        run.snapshot(1)


def test_an_epoch_that_is_not_finite_is_undone(
    vector_specs: Specs, labels: list[LabelledQuery], caplog: pytest.LogCaptureFixture
) -> None:
    run = trainer(vector_specs, labels)
    run.fit(2)
    before = run._network.state_dict()
    good = {name: tensor.clone() for name, tensor in before.items()}
    run._loss = lambda returns, ranks, noise: (returns * torch.inf).sum(dim=-1)
    report = run.fit(5)
    assert report.diverged
    assert report.epochs == 0
    assert all(torch.equal(good[name], tensor) for name, tensor in run._network.state_dict().items())
    assert "epoch was undone" in caplog.text


def test_annotator_at_chance_teaches_nothing(vector_specs: Specs, labels: list[LabelledQuery]) -> None:
    config = replace(SMALL, l2=0.0, adaptive_l2=False, dropout=0.0)
    run = trainer(vector_specs, labels, config)
    before = [parameter.clone() for parameter in run._network.parameters()]
    run.fit(1, annotator_error={"synthetic": 0.5})
    assert all(torch.equal(a, b) for a, b in zip(before, run._network.parameters(), strict=True))


def test_l2_rises_on_overfitting_and_falls_otherwise(vector_specs: Specs) -> None:
    run = RewardTrainer(*vector_specs, RewardConfig(members=4, l2=0.01), 0)
    losses = EpochLosses.zeros(4)
    losses.training_sum, losses.training_weight = torch.ones(4), torch.ones(4)
    losses.validation_sum, losses.validation_weight = (
        torch.tensor([1.6, 1.3, 1.0, 0.0]),
        torch.tensor([1.0, 1, 1, 0]),
    )
    run._adapt_l2(losses)
    torch.testing.assert_close(run._l2, torch.tensor([0.011, 0.01, 0.01 / 1.1, 0.01]))
    for _ in range(100):
        run._adapt_l2(losses)
    assert run._l2[0].item() == pytest.approx(L2_LIMITS[1])


def test_epoch_losses_weigh_the_bootstrap() -> None:
    losses = EpochLosses.zeros(1)
    losses.add(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[2.0, 1.0, 0.0]]))
    losses.add(torch.tensor([[8.0]]), torch.tensor([[0.0]]))
    assert losses.training.item() == pytest.approx(4 / 3)
    assert losses.validation.item() == pytest.approx(6.0)


def test_input_statistics_are_taken_anew_when_the_data_have_doubled(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    run = trainer(vector_specs, labels[:10])
    counts = []
    for known in (10, 19, 20, 40):
        run.update(labels[:known])
        run.fit(1)
        counts.append(int(run._network.input_steps))
    assert counts == [200, 200, 400, 800]


def test_members_of_a_snapshot_are_normalised(vector_specs: Specs, labels: list[LabelledQuery]) -> None:
    run = trainer(vector_specs, labels, replace(SMALL, std=0.05))
    run.fit(3)
    segments = {segment.id: segment for label in labels for segment in label.query.segments}.values()
    observations = np.stack([segment.observations for segment in segments])
    actions = np.stack([segment.actions for segment in segments])
    reward = run.snapshot(7)
    members = reward.predict_members(observations, actions)
    np.testing.assert_allclose(members.mean(axis=(1, 2)), 0.0, atol=1e-6)
    np.testing.assert_allclose(members.std(axis=(1, 2)), 0.05, rtol=1e-4)
    np.testing.assert_allclose(reward.predict(observations, actions), members.mean(axis=0))
    assert reward.version == 7


def test_a_snapshot_does_not_follow_further_training(
    vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    run = trainer(vector_specs, labels)
    run.fit(1)
    reward = run.snapshot(1)
    segment = labels[0].query.segments[0]
    before = reward.predict(segment.observations, segment.actions)
    run.fit(3)
    np.testing.assert_array_equal(reward.predict(segment.observations, segment.actions), before)


def test_a_constant_member_gives_no_reward(vector_specs: Specs, labels: list[LabelledQuery]) -> None:
    run = trainer(vector_specs, labels)
    assert isinstance(run._network, MLPEnsemble)
    last = run._network.layers[-1]
    assert isinstance(last, EnsembleLinear)
    with torch.no_grad():
        last.weight[1] = 0.0
        last.bias[1] = 1234.5
    segment = labels[0].query.segments[0]
    members = run.snapshot(1).predict_members(segment.observations, segment.actions)
    np.testing.assert_allclose(members[1], 0.0, atol=1e-3)
    assert np.abs(members[0]).max() > 0.1


def test_wrong_segments_are_refused(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    run = trainer(vector_specs, labels)
    wrong = [make_segment(seed, observations=np.zeros((10, 4), dtype=np.float32)) for seed in (0, 1)]
    with pytest.raises(ValueError, match=r"shape \(10, 4\) do not end in the space's shape \(3,\)"):
        run.update([make_label(99, *wrong)])
    assert run.num_labels == 40


@pytest.mark.parametrize("bootstrap", [True, False])
def test_validation_loss_comes_from_the_bag_or_from_the_held_out(
    vector_specs: Specs, labels: list[LabelledQuery], bootstrap: bool
) -> None:
    run = trainer(vector_specs, labels, replace(SMALL, bootstrap=bootstrap, validation_fraction=0.0))
    assert (run.fit(1).out_of_bag_loss is not None) == bootstrap
    run = trainer(vector_specs, labels, replace(SMALL, bootstrap=bootstrap, validation_fraction=0.3))
    assert run.fit(1).out_of_bag_loss is not None


def test_a_fit_draws_no_more_queries_than_allowed(
    vector_specs: Specs, labels: list[LabelledQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SMALL, batch_size=4, validation_fraction=0.0)
    drawn: list[int] = []
    gather = trainer_module.ComparisonDataset._minibatch

    def counted(self: Any, group: Any, part: Any, noise_of: Any) -> Any:
        drawn.append(len(part) if torch.is_grad_enabled() else 0)
        return gather(self, group, part, noise_of)

    monkeypatch.setattr(trainer_module.ComparisonDataset, "_minibatch", counted)
    assert trainer(vector_specs, labels, config).fit(5, most_queries=60).epochs == 2  # 40, then 20
    assert sum(drawn) == 60
    drawn.clear()
    assert trainer(vector_specs, labels, config).fit(5, most_queries=6).epochs == 1
    assert sum(drawn) == 8  # whole batches


def test_a_learning_rate_decays_over_the_whole_of_each_fit(
    vector_specs: Specs, labels: list[LabelledQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SMALL, learning_rate=0.9, batch_size=4, validation_fraction=0.0, decay=True)
    run, rates = trainer(vector_specs, labels, config), list[float]()
    step = run._optimizer.step
    monkeypatch.setattr(
        run._optimizer, "step", lambda: (rates.append(run._optimizer.param_groups[0]["lr"]), step())
    )
    run.fit(2)
    # Twenty minibatches: the first two are its first tenth, and eighteen more bring it to 0.
    falling = [0.9 * (20 - done) / 18 for done in range(2, 20)]
    np.testing.assert_allclose(rates, [0.45, 0.9, *falling])
    rates.clear()
    run.fit(5, most_queries=20)
    np.testing.assert_allclose(rates, [0.9 * share for share in (1, 8 / 9, 6 / 9, 4 / 9, 2 / 9)])


def test_a_decaying_fit_goes_on_where_it_was_stopped(
    vector_specs: Specs, labels: list[LabelledQuery], tmp_path: Path
) -> None:
    config = replace(SMALL, decay=True)
    whole, halted = (trainer(vector_specs, labels, config) for _ in range(2))
    whole.fit(4)

    def halt(done: int) -> None:
        if done == 2:
            halted.save_state(tmp_path / "state")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halted.fit(4, on_epoch=halt)
    resumed = trainer(vector_specs, labels, config)
    resumed.load_state(tmp_path / "state")
    resumed.fit(4)
    assert same(whole, resumed)


def test_a_fit_ends_when_its_validation_loss_no_longer_falls(
    vector_specs: Specs, labels: list[LabelledQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.9, 0.8, 0.8, 0.7, 0.75, 0.71, 0.6])

    def epoch(self: RewardTrainer, noise_of: object, most_queries: float, expected: float) -> EpochLosses:
        sums = EpochLosses.zeros(3)
        sums.training_weight += 1
        sums.validation_weight += 1
        sums.validation_sum += next(losses)
        return sums

    monkeypatch.setattr(RewardTrainer, "_train_epoch", epoch)
    patient = trainer(vector_specs, labels, replace(SMALL, patience_epochs=2))
    assert patient.fit(20).epochs == 6  # 0.7 was the best, and two epochs came after it


def test_images_are_normalised_over_segments_spread_evenly(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs, labels: list[LabelledQuery]
) -> None:
    made = trainer(vector_specs, labels)
    whole = torch.cat([batch for batch, _ in made._dataset.segments.step_batches()])
    some = torch.cat([batch for batch, _ in made._dataset.segments.step_batches(len(whole) / 4)])
    assert len(some) == len(whole) / 4
    steps = len(labels[0].query.segments[0])
    torch.testing.assert_close(some, whole.view(-1, 4, steps, whole.shape[1])[:, 0].flatten(0, 1))
