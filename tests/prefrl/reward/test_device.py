"""Rewards on another device than the CPU: everything is computed there, and gives what the CPU gives.

Where there is a GPU it is tested itself. Everywhere, a pretended device is: its tensors hold their numbers in CPU
memory, and refuse to be mixed with others, as a GPU's would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery, Query, Segment
from prefrl.reward import (
    FollowedReward,
    LearnedReward,
    RewardFileError,
    RewardTrainer,
    learned_reward,
    reward_file,
    training,
)
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.storage.versions import publish_version
from prefrl.text.rankings import Ranking

MakeSegment = Callable[..., Segment]
MakeLabel = Callable[..., LabelledQuery]
Case = tuple[tuple[SpaceSpec, SpaceSpec], RewardConfig, list[LabelledQuery]]

pytestmark = pytest.mark.filterwarnings("ignore:.*from a non-meta parameter")  # it does copy

PRETENDED = torch.device("meta")
"""a device that is there on every machine, so that torch does not look for its driver"""
aten = torch.ops.aten
CROSSING = {aten._to_copy.default, aten.copy_.default}
"""operations that may move numbers between devices"""
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
"""operations that take indices from the CPU"""


class Pretended(Tensor):
    """A tensor on the pretended device, whose numbers are in ``held`` on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=PRETENDED,
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.cpu().tolist()


class PretendedDevice(TorchDispatchMode):
    """While active, tensors can be made on the pretended device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the numbers held; raise where a GPU would, for tensors or generators of two devices."""
    given = tree_flatten((args, kwargs))[0]
    ours = {id(each.held): each for each in given if isinstance(each, Pretended)}
    others = [each for each in given if isinstance(each, Tensor) and not isinstance(each, Pretended)]
    wanted = kwargs.get("device")
    is_ours = bool(ours) if wanted is None else wanted == PRETENDED
    if ours and any(each.dim() for each in others) and func not in CROSSING | INDEXING:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    if is_ours and any(isinstance(each, torch.Generator) for each in given):
        raise RuntimeError(f"{func}: expected a generator of the device, got one of the CPU")
    if func is aten.copy_.default:
        is_ours = isinstance(args[0], Pretended)
    args, kwargs = tree_map(lambda each: each.held if isinstance(each, Pretended) else each, (args, kwargs))
    if wanted is not None:
        kwargs["device"] = torch.device("cpu")
    result = func(*args, **kwargs)

    def wrapped(each: Any) -> Any:
        if not isinstance(each, Tensor) or not is_ours:
            return each
        # In place, the result is what was given.
        return ours.get(id(each)) if id(each) in ours else Pretended(each)

    return tree_map(wrapped, result)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rewards whose settings name "cuda" are on the pretended device, others are on the CPU."""

    def device(name: str, setting: str) -> torch.device:
        return PRETENDED if name == "cuda" else torch.device("cpu")

    monkeypatch.setattr(training, "torch_device", device)
    monkeypatch.setattr(learned_reward, "torch_device", device)
    monkeypatch.setattr(learned_reward, "available_device", device)
    monkeypatch.setattr(reward_file, "WITHOUT_MEMORY", torch.device("cpu"))
    monkeypatch.setattr(RewardTrainer, "_new_optimizer", plain_adam)
    # Views of tensors of a Python class cannot be made in inference mode.
    evaluated: Any = LearnedReward._raw_rewards
    monkeypatch.setattr(LearnedReward, "_raw_rewards", torch.no_grad()(evaluated.__wrapped__))
    with PretendedDevice():
        yield


def plain_adam(trainer: RewardTrainer) -> torch.optim.Adam:
    """The trainer's optimiser without the fused kernels, which the CPU and GPUs have."""
    rate = trainer._config.learning_rate
    return torch.optim.Adam(trainer._network.parameters(), lr=rate, foreach=False)


@pytest.fixture
def real() -> None:
    """Rewards whose settings name "cuda" are on the first GPU."""
    if not torch.cuda.is_available():
        pytest.skip("CUDA can use no GPU here")


@pytest.fixture(params=["pretended", "real"])
def other_device(request: pytest.FixtureRequest) -> str:
    """What is not the CPU."""
    request.getfixturevalue(request.param)
    return "meta" if request.param == "pretended" else "cuda"


@pytest.fixture(params=["vectors", "ragged_plackett_luce", "images", "texts"])
def case(
    request: pytest.FixtureRequest,
    make_segment: MakeSegment,
    make_label: MakeLabel,
    vector_specs: tuple[SpaceSpec, SpaceSpec],
) -> Case:
    """Spaces, settings and labels of one kind of data."""
    if request.param == "texts":
        return texts()
    if request.param == "images":
        spec = SpaceSpec("box", (36, 36, 2), "uint8")
        config = RewardConfig(batch_norm=True, dropout=0.2, batch_size=4)

        def make(seed: int) -> Segment:
            pixels = np.random.default_rng(seed).integers(0, 256, (4, 36, 36, 2), dtype=np.uint8)
            return make_segment(seed, steps=4, observations=pixels)

        labels = [make_label(q, make(2 * q), make(2 * q + 1), comparison_id=q + 1) for q in range(8)]
        return (spec, vector_specs[1]), config, labels
    items = 2 if request.param == "vectors" else 3
    config = RewardConfig(hidden=(16,), dropout=0.1, centring=0.1, validation_fraction=0.2)
    if items == 3:
        config = replace(config, loss="plackett_luce", decay=True, batch_shared=True, bootstrap=False)
    labels = [
        make_label(
            q,
            *(make_segment(items * q + item, steps=4 + item) for item in range(items)),
            ranks=tuple(range(1, items + 1)),
            comparison_id=q + 1,
        )
        for q in range(20)
    ]
    return vector_specs, config, labels


def texts() -> Case:
    """Prompts of two letters; better responses repeat the first of them."""
    rng = np.random.default_rng(0)
    rankings = []
    for _ in range(12):
        prompt = "".join(rng.choice(list("abcdef"), 2))
        better, worse = prompt[0] * int(rng.integers(2, 5)), "g" * int(rng.integers(1, 5))
        rankings.append(Ranking(prompt, (better, worse), (1, 2)))
    ranked = TokenRankings.of(rankings, lambda text: ["abcdefgh".index(letter) for letter in text], 10, 9)
    config = RewardConfig(members=2, learning_rate=2e-3, batch_size=8, l2=0.01)
    return ranked.specs(), config, ranked.labelled()


def on(device: str, case: Case) -> RewardTrainer:
    specs, config, labels = case
    made = RewardTrainer(*specs, replace(config, device=device), seed=3)
    # In two parts, so that some segments are there already.
    made.update(labels[:5])
    made.update(labels)
    return made


def all_tensors(made: object) -> list[Tensor]:
    """The tensors of a trainer's network, optimiser and minibatches; counts of steps may be anywhere."""
    assert isinstance(made, RewardTrainer)
    moments = [each for state in made._optimizer.state.values() for each in state.values() if each.dim()]
    batch = next(made._dataset.minibatches(validation=False, noise_of={}))
    batched = [each for each in vars(batch).values() if isinstance(each, Tensor)]
    return [*made._network.parameters(), *made._network.buffers(), made._l2, *moments, *batched]


def test_everything_is_computed_on_the_device_and_gives_what_the_cpu_gives(
    other_device: str, case: Case
) -> None:
    cpu, other = on("cpu", case), on("cuda", case)
    assert (cpu.device.type, other.device.type) == ("cpu", other_device)
    # One seed gives the same weights wherever they are.
    assert_same(other.state_dict(), cpu.state_dict())
    reports = [trainer.fit(2, {"synthetic": 0.1}) for trainer in (cpu, other)]
    assert {tensor.device.type for tensor in all_tensors(other)} == {other_device}
    assert reports[1].train_loss == pytest.approx(reports[0].train_loss, rel=1e-3)
    assert reports[1].out_of_bag_loss == pytest.approx(reports[0].out_of_bag_loss, rel=1e-3)
    rewards = [trainer.snapshot(1) for trainer in (cpu, other)]
    assert [reward.device.type for reward in rewards] == ["cpu", other_device]
    queries = [label.query for label in case[2]]
    for predict in (predicted, LearnedReward.preference_probabilities, LearnedReward.disagreement):
        expected, found = (predict(reward, queries) for reward in rewards)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def predicted(reward: LearnedReward, queries: list[Query]) -> np.ndarray:
    segments = [segment for query in queries for segment in query.segments]
    return np.concatenate([reward.predict(each.observations, each.actions) for each in segments])


def test_what_one_machine_saved_is_continued_on_another(
    other_device: str, case: Case, tmp_path: Path
) -> None:
    trained = {"cpu": on("cpu", case), "cuda": on("cuda", case)}
    for name, trainer in trained.items():
        trainer.fit(1)
        trainer.save_state(tmp_path / f"{name}.state")
        publish_version(tmp_path / name, 1, trainer.snapshot(1).save)
    for saved, continued, device in (("cpu", "cuda", other_device), ("cuda", "cpu", "cpu")):
        trainer = on(continued, case)
        trainer.load_state(tmp_path / f"{saved}.state")
        assert_same(trainer.state_dict(), trained[saved].state_dict())
        trainer.fit(1)
        assert {tensor.device.type for tensor in all_tensors(trainer)} == {device}
        # A reward is loaded where it was trained, unless another place is named.
        assert LearnedReward.load(tmp_path / continued).device.type == device
        assert LearnedReward.load(tmp_path / saved, device=continued).device.type == device
        followed = LearnedReward.load(tmp_path / saved, follow=True, device=continued)
        assert isinstance(followed, FollowedReward)
        assert followed.device.type == device


def test_a_pretended_device_refuses_what_a_gpu_refuses(pretended: None) -> None:
    far, near = torch.ones(3, device=PRETENDED), torch.ones(3)
    assert (far + 1).device == PRETENDED
    np.testing.assert_array_equal((far + far).cpu().numpy(), [2, 2, 2])
    with pytest.raises(RuntimeError, match="same device"):
        far + near
    with pytest.raises(RuntimeError, match="generator"):
        far.uniform_(generator=torch.Generator())
    with pytest.raises((RuntimeError, TypeError)):
        far.numpy()


def test_a_reward_of_a_gpu_that_is_not_here_is_read_onto_what_is(
    vector_specs: tuple[SpaceSpec, SpaceSpec],
    make_segment: MakeSegment,
    make_label: MakeLabel,
    tmp_path: Path,
) -> None:
    count = torch.cuda.device_count()
    trainer = RewardTrainer(*vector_specs, RewardConfig(hidden=(4,)), seed=0)
    trainer.update([make_label(0, make_segment(0), make_segment(1))])
    reward = trainer.snapshot(1)
    reward.config = replace(reward.config, device=f"cuda:{count}")
    reward.save(tmp_path / "reward")
    assert LearnedReward.load(tmp_path / "reward").device.type == ("cuda" if count else "cpu")
    with pytest.raises(ValueError, match=f"device is 'cuda:{count}', and CUDA can use {count} GPUs here"):
        LearnedReward.load(tmp_path / "reward", device=f"cuda:{count}")
    with pytest.raises(ValueError, match=f"reward.device is 'cuda:{count}', and CUDA can use {count} GPUs"):
        RewardTrainer(*vector_specs, reward.config, seed=0)
    reward.config = replace(reward.config, device="tpu")
    reward.save(tmp_path / "reward")
    with pytest.raises(RewardFileError, match="'tpu', which names no device"):
        LearnedReward.load(tmp_path / "reward")
