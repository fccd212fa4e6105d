from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from prefrl.config import RewardConfig, RunConfig
from prefrl.config.device import available_device, is_device_name, torch_device
from prefrl.loop.validation import check_config

WRONG = ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CPU", "", "meta", " cpu"]


@pytest.fixture(params=[0, 1, 3])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine on which CUDA can use this many GPUs."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_auto_takes_a_gpu_where_there_is_one(gpus: int) -> None:
    assert torch_device("auto", "reward.device") == torch.device("cuda" if gpus else "cpu")
    assert torch_device("cpu", "reward.device") == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_refused_unless_another_will_do(gpus: int) -> None:
    names = {"cuda": 0, "cuda:0": 0, "cuda:2": 2, "cuda:3": 3}
    for name, number in names.items():
        if number < gpus:
            assert torch_device(name, "x") == available_device(name, "x") == torch.device(name)
            continue
        with pytest.raises(
            ValueError, match=f"^x is '{name}', and CUDA can use {gpus} GPUs here; use auto or cpu"
        ):
            torch_device(name, "x")
        assert available_device(name, "x") == torch.device("cuda" if gpus else "cpu")


@pytest.mark.parametrize("name", WRONG)
def test_other_names_are_refused_before_any_work(name: str) -> None:
    assert not is_device_name(name)
    for find in (torch_device, available_device):
        with pytest.raises(ValueError, match=r"^x is '.*'; it must be auto, cpu, cuda, or cuda:N"):
            find(name, "x")
    with pytest.raises(ValueError, match=r"reward\.device is .*; auto, cpu, cuda, or cuda:N"):
        check_config(RunConfig(reward=RewardConfig(device=name)))


def test_names_are_checked_without_loading_torch() -> None:
    code = "import sys; from prefrl.config.device import *; print(is_device_name('cuda'), 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "True False\n"
