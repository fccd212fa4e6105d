import pytest
import torch
import torch.nn.functional as F

from prefrl.reward.fast_convolution import blocked_weight, computing_dtype, space_to_depth

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("kernel", "stride", "height", "width"),
    [
        (8, 4, 84, 84),  # the policy's first
        (7, 3, 84, 84),  # the reward's first, its kernel padded to 9
        (5, 2, 26, 26),
        (4, 2, 20, 20),
        (8, 4, 90, 87),  # with pixels that no kernel reaches
        (7, 3, 85, 64),
        (3, 1, 7, 9),
    ],
)
def test_blocks_give_the_same_convolution(kernel: int, stride: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 4, height, width), generator=generator).double()
    weight = torch.randn(5, 4, kernel, kernel, generator=generator, dtype=torch.float64)
    blocks = space_to_depth(images, kernel, stride)
    assert blocks.is_contiguous()
    assert torch.equal(space_to_depth(images.byte(), kernel, stride), blocks.byte())
    ours = F.conv2d(blocks.permute(0, 3, 1, 2), blocked_weight(weight, stride))
    torch.testing.assert_close(ours, F.conv2d(images, weight, stride=stride))


def test_blocks_are_what_they_are_called() -> None:
    image = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    blocks = space_to_depth(image, kernel=2, stride=2)
    assert blocks.dtype == torch.uint8
    assert blocks[0].tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]], [[8, 9, 12, 13], [10, 11, 14, 15]]]


def test_the_dtype_is_what_was_asked_for() -> None:
    assert computing_dtype("bfloat16", CPU) == torch.bfloat16
    assert computing_dtype("float32", CPU) == torch.float32


@pytest.mark.parametrize("is_supported", [True, False])
def test_auto_goes_by_the_machine(is_supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: is_supported, raising=False)
    assert computing_dtype("auto", CPU) == (torch.bfloat16 if is_supported else torch.float32)


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert computing_dtype("auto", CPU) == torch.float32
