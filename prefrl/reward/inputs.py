"""Converts canonical arrays (`SpaceSpec`) to the tensors that reward networks take."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec

__all__ = [
    "channel_axis",
    "channels_first_shape",
    "check_array",
    "chunk_steps",
    "feature_tensor",
    "observation_tensor",
]


def chunk_steps(spec: SpaceSpec) -> int:
    """Number of steps of these observations that are evaluated at a time."""
    return modality_of(spec).steps_per_chunk


def channel_axis(image_shape: tuple[int, ...]) -> int:
    """Axis of the channels in an image shape, 0 or 2: the shorter of the two, 2 when they are equal."""
    return 0 if image_shape[0] < image_shape[2] else 2


def channels_first_shape(spec: SpaceSpec) -> tuple[int, int, int]:
    """(C, H, W) of an image space, declared with channels first or last."""
    axis = channel_axis(spec.shape)
    height, width = (side for i, side in enumerate(spec.shape) if i != axis)
    return spec.shape[axis], height, width


def observation_tensor(spec: SpaceSpec, observations: np.ndarray) -> Tensor:
    """Convert (M, *obs) to uint8 (M, C, H, W) for image spaces, else to float32 features (M, F)."""
    if not spec.is_image:
        return feature_tensor(spec, observations)
    channels_first = np.moveaxis(observations, 1 + channel_axis(spec.shape), 1)
    return _as_tensor(channels_first)


def feature_tensor(spec: SpaceSpec, array: np.ndarray) -> Tensor:
    """Convert (M, *shape) to float32 features (M, F) with one-hot categories."""
    return _as_tensor(spec.features(array))


def check_array(spec: SpaceSpec, array: np.ndarray, what: str) -> None:
    """Raise ValueError unless ``array`` (*lead, *shape) has the space's shape and dtype, and categories in range."""
    lead = array.ndim - len(spec.shape)
    if lead < 0 or array.shape[lead:] != spec.shape:
        raise ValueError(f"{what} of shape {array.shape} do not end in the space's shape {spec.shape}")
    if array.dtype.kind not in ("iub" if spec.categories else "fiub"):
        raise ValueError(f"{what} are of dtype {array.dtype} where the space has {spec.dtype}")
    if spec.is_image and array.dtype != np.uint8:
        raise ValueError(f"{what} are {array.dtype} where the space has uint8 images")
    if spec.categories:
        entries = array.reshape(-1, len(spec.categories)) - np.asarray(spec.starts)
        if not ((entries >= 0) & (entries < np.asarray(spec.categories))).all():
            raise ValueError(
                f"{what} hold a category outside the space's {spec.categories} from {spec.starts}"
            )


def _as_tensor(array: np.ndarray) -> Tensor:
    # torch warns about read-only memory
    return torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy(order="C"))
