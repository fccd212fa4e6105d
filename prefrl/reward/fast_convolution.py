"""Fast convolutions over images on a CPU: blocks of pixels as channels, and bfloat16 if the CPU supports it.

A convolution of kernel k and stride s equals one of kernel k/s and stride 1 over an image whose s x s blocks have
become channels, with the weights in the same order; if s does not divide k the kernel is padded with zeros. The sums
are the same in another order. Bytes are moved once, as uint8, and the convolution reads contiguous memory.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prefrl.config import Precision

__all__ = ["BYTE", "blocked_weight", "computing_dtype", "space_to_depth"]

BYTE = 255.0
"""divisor of bytes, applied after conversion: whole numbers up to 255 are exact in bfloat16"""


def computing_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype that convolutions compute in on this device; "auto" is bfloat16 if it is faster than float32 there.

    bfloat16 is faster on CPUs with AVX-512 BF16 or AMX, and on GPUs that support it.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_fast_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # A private function of torch: if a release removes it, float32 is used.
    is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(is_supported is not None and is_supported())


def space_to_depth(images: Tensor, kernel: int, stride: int) -> Tensor:
    """Convert images (N, C, H, W) to the layout for a convolution of this kernel and stride, (N, H', W', stride^2 C).

    Rows and columns that the convolution does not reach are dropped; those that only the kernel's padding reaches are
    zero.
    """
    images = _fit(_fit(images, kernel, stride, axis=2), kernel, stride, axis=3)
    num_images, channels, height, width = images.shape
    rows, columns = height // stride, width // stride
    if images.dtype == torch.uint8 and images.device.type == "cpu":
        # Several times faster than torch's own permuting of single bytes.
        flat = images.numpy().reshape(num_images, -1)
        blocks = np.take(flat, _block_index(channels, height, width, stride), axis=1)
        return torch.from_numpy(blocks).view(num_images, rows, columns, -1)
    return _blocks(images, stride).reshape(num_images, rows, columns, -1).contiguous()


def _blocks(images: Tensor, stride: int) -> Tensor:
    num_images, channels, height, width = images.shape
    blocks = images.reshape(num_images, channels, height // stride, stride, width // stride, stride)
    return blocks.permute(0, 2, 4, 1, 3, 5)


@cache
def _block_index(channels: int, height: int, width: int, stride: int) -> np.ndarray:
    """Index into a flattened image for each byte of its blocks, int64 (rows * columns * stride^2 C,)."""
    numbered = torch.arange(channels * height * width).view(1, channels, height, width)
    return _blocks(numbered, stride).flatten().numpy()


def blocked_weight(weight: Tensor, stride: int) -> Tensor:
    """Convert weights (O, C, k, k) to the layout of `space_to_depth`, (O, stride^2 C, ceil(k/s), ceil(k/s))."""
    outputs, channels, kernel, _ = weight.shape
    cells = math.ceil(kernel / stride)
    padding = cells * stride - kernel
    weight = F.pad(weight, (0, padding, 0, padding)) if padding else weight
    blocks = weight.reshape(outputs, channels, cells, stride, cells, stride)
    return blocks.permute(0, 1, 3, 5, 2, 4).reshape(outputs, stride * stride * channels, cells, cells)


def _fit(images: Tensor, kernel: int, stride: int, axis: int) -> Tensor:
    """Cut or pad an axis to the pixels that the kernel, rounded up to whole blocks, covers."""
    size = images.shape[axis]
    needed = (size - kernel) // stride * stride + math.ceil(kernel / stride) * stride
    if needed <= size:
        return images.narrow(axis, 0, needed)
    missing = needed - size
    return F.pad(images, (0, 0, 0, missing) if axis == 2 else (0, missing))
