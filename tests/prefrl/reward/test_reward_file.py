"""Files of a learned reward that were made by hand: refused by name, and nothing of their size is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery, Segment
from prefrl.reward import LearnedReward, RewardFileError, RewardTrainer
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.reward.reward_file import FORMAT
from prefrl.reward.tensor_files import read_tensors, write_tensors
from prefrl.text.rankings import Ranking

Header = dict[str, Any]
Tensors = dict[str, Tensor]
Craft = Callable[[Header, Tensors], object]


@pytest.fixture
def vectors(
    make_segment: Callable[..., Segment],
    make_label: Callable[..., LabelledQuery],
    vector_specs: tuple[SpaceSpec, SpaceSpec],
    tmp_path: Path,
) -> Path:
    """A reward of vectors."""
    trainer = RewardTrainer(*vector_specs, RewardConfig(hidden=(8, 4), device="cpu"), seed=0)
    trainer.update([make_label(0, make_segment(0), make_segment(1))])
    trainer.snapshot(1).save(tmp_path / "vectors")
    return tmp_path / "vectors"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A reward of texts."""
    ranked = TokenRankings.of(
        [Ranking("ab", ("aa", "b"), (1, 2))], lambda text: [ord(x) - 97 for x in text], 4, 3
    )
    trainer = RewardTrainer(
        *ranked.specs(), RewardConfig(members=1, validation_fraction=0.0, device="cpu"), seed=0
    )
    trainer.update(ranked.labelled())
    trainer.snapshot(1).save(tmp_path / "texts")
    return tmp_path / "texts"


def crafted(path: Path, craft: Craft) -> Path:
    """The file with other content, and with the checksum of that."""
    tensors, header = read_tensors(path, FORMAT)
    header = deepcopy(header)
    craft(header, tensors)
    made = path.with_name("crafted")
    write_tensors(made, FORMAT, tensors, header)
    return made


def setting(*keys: str, value: object) -> Craft:
    def craft(header: Header, tensors: Tensors) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return craft


def tensor(name: str, change: Callable[[Tensor], Tensor]) -> Craft:
    def craft(header: Header, tensors: Tensors) -> None:
        tensors[name] = change(tensors[name])

    return craft


@pytest.mark.parametrize(
    ("craft", "said"),
    [
        (lambda header, tensors: header.clear(), "'version'"),
        (setting("version", value=-1), "version is -1"),
        (setting("version", value=True), "version is True"),
        (setting("version", value="1"), "version is '1'"),
        (setting("observation_spec", value=None), "NoneType"),
        (setting("observation_spec", "shape", value=[2**20, 2**20]), "observation_spec is of size"),
        (setting("observation_spec", "shape", value=["x"]), ""),
        (setting("action_spec", "categories", value=[2**40]), "action_spec is of size"),
        (setting("action_spec", "categories", value=[3]), "is needed"),
        (setting("config", value={"optimiser": "x"}), "unknown settings"),
        (setting("config", "device", value="disk"), "'disk', which names no device"),
        (setting("config", "members", value=2**40), "config.members is of size"),
        (setting("config", "members", value=0), "config.members is of size 0"),
        (setting("config", "members", value=2), "is needed"),
        (setting("config", "hidden", value=[2**40]), "config.hidden is of size"),
        (setting("config", "hidden", value=[4] * 10_000), "names 10000 layers"),
        (setting("config", "hidden", value=[-8, 4]), ""),
        (setting("config", "network", value="lm"), "reward.network is 'lm'"),
        (tensor("network.layers.0.weight", Tensor.double), "is torch.float64"),
        (tensor("network.layers.0.weight", Tensor.half), "is torch.float16"),
        (tensor("network.layers.0.weight", Tensor.int), "is torch.int32"),
        (tensor("network.layers.0.weight", lambda old: old[:, :-1]), "is needed"),
        (tensor("member_mean", Tensor.double), "'member_mean' is torch.float64"),
        (tensor("member_std", lambda old: old[:1]), r"'member_std' is torch.float32 \(1,\)"),
        (tensor("member_std", torch.zeros_like), "not above 0"),
        (tensor("member_mean", lambda old: old * torch.nan), "not finite"),
        (lambda header, tensors: tensors.pop("member_std"), "'member_std' is missing"),
        (lambda header, tensors: tensors.pop("network.input_mean"), "'network.input_mean' is missing"),
        (lambda header, tensors: tensors.update(extra=torch.zeros(1)), "'extra' is not expected"),
    ],
)
def test_a_header_and_tensors_that_do_not_belong_together_are_refused(
    vectors: Path, craft: Craft, said: str
) -> None:
    made = crafted(vectors, craft)
    with pytest.raises(RewardFileError, match=rf"crafted does not describe a learned reward \(.*{said}"):
        LearnedReward.load(made)


@pytest.mark.parametrize(
    ("craft", "said"),
    [
        (setting("architecture", value=None), "without the architecture"),
        (setting("architecture", value="gpt2"), "without the architecture"),
        (setting("architecture", value={"model_type": "no such"}), ""),
        (setting("architecture", "n_layer", value=10**9), "architecture.n_layer is 1000000000"),
        (setting("architecture", "n_embd", value=2**20), "is needed"),
        (setting("architecture", "vocab_size", value=2**30), ""),
        (setting("observation_spec", "shape", value=[2**40]), "takes texts of at most"),
    ],
)
def test_a_reward_of_texts_loads_no_other_model_than_its_own(
    texts: Path, craft: Craft, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "prefrl.text.models.LanguageModel.load", lambda *_: pytest.fail("a checkpoint was loaded")
    )
    made = crafted(texts, craft)
    with pytest.raises(RewardFileError, match=rf"crafted does not describe a learned reward \(.*{said}"):
        LearnedReward.load(made)


def test_what_would_load_code_is_left_out_of_an_architecture(texts: Path, tmp_path: Path) -> None:
    def craft(header: Header, tensors: Tensors) -> None:
        classes = {"AutoModelForCausalLM": "somebody/else--modeling.Model"}
        header["architecture"] |= {"auto_map": classes, "attn_implementation": "somebody/kernels"}

    loaded, whole = LearnedReward.load(crafted(texts, craft)), LearnedReward.load(texts)
    loaded.save(tmp_path / "again")
    assert "somebody" not in json.dumps(read_tensors(tmp_path / "again", FORMAT)[1])
    observations, actions = np.zeros((1, *whole.observation_spec.shape), np.int32), np.zeros(1, np.int64)
    observations[:, :2] = 1
    np.testing.assert_array_equal(
        loaded.text_rewards(observations, actions), whole.text_rewards(observations, actions)
    )


def test_a_file_written_before_there_were_devices_is_read(vectors: Path) -> None:
    made = crafted(vectors, lambda header, tensors: header["config"].pop("device"))
    assert LearnedReward.load(made).config.device == "auto"
