"""Reward networks: an ensemble of E independent networks, trained and evaluated as one batched module.

All members see the same minibatch. Fully connected layers are batched matrix products; the first convolution is a
single dense one with 16 E filters, the others are grouped. Parameters are ordered by member. Random numbers (initial
weights, dropout masks) are drawn on the CPU, so they are the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from prefrl.config import RewardConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.fast_convolution import BYTE, blocked_weight, computing_dtype, space_to_depth
from prefrl.reward.inputs import channels_first_shape

__all__ = ["ConvEnsemble", "EnsembleLinear", "MLPEnsemble", "RewardNetwork", "build_network"]

LEAKY_SLOPE = 0.01
INPUT_LIMIT = 10.0
"""standardised inputs of the MLP are clipped to +- this"""
PIXEL_LIMIT = 5.0
"""standardised pixels are clipped to +- this (as in Burda et al. 2018, appendix A.4)"""
LEAST_PIXEL_SPREAD = 5.0
"""minimum divisor of a pixel, in gray levels, even if the pixel has hardly changed so far"""
FILTERS = 16
UNITS = 64
CONVOLUTIONS = ((7, 3), (5, 2), (3, 1), (3, 1))
"""(kernel, stride) of each convolution: Christiano et al. 2017, appendix A.2"""
MIN_CELLS = 4
"""height and width that the convolutions must leave; smaller images are padded"""


class RewardNetwork(nn.Module):
    """An ensemble of E reward networks: ``forward(observations, actions, generator)`` gives the rewards (E, M).

    Observations are tensors of M steps from `prefrl.reward.inputs.observation_tensor`, actions are features (M, A).
    The generator, on the CPU, draws dropout masks in training mode; the global random state is not used. Inputs
    are standardised by statistics that are constant until `set_input_statistics` is called again.
    """

    architecture: dict[str, Any] | None = None
    """JSON-ready description that is needed besides the config to rebuild the network; None if nothing is"""
    input_mean: Tensor
    """mean of each feature (F,), or of each pixel (C, H, W) in gray levels"""
    input_scale: Tensor
    """divisor of each feature or pixel, in the same shape"""
    input_steps: Tensor
    """scalar, int64, the number of steps in the data that the statistics describe"""

    def __init__(self, num_members: int, dropout: float, input_shape: Sequence[int]) -> None:
        super().__init__()
        self.num_members = num_members
        self.dropout = dropout
        self.register_buffer("input_mean", torch.zeros(*input_shape))
        self.register_buffer("input_scale", torch.ones(*input_shape))
        self.register_buffer("input_steps", torch.tensor(0))

    def set_input_statistics(self, batches: Iterable[tuple[Tensor, Tensor]], num_steps: int) -> None:
        """Set the mean and scale of the inputs from the steps in ``batches``.

        Args:
            batches: observations and actions, as in `forward`; may be a sample of the data.
            num_steps: steps in all the data, kept as ``input_steps``.
        """
        count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for observations, actions in batches:
            inputs = self._inputs(observations, actions)
            count += len(inputs)
            total = total + inputs.sum(dim=0)
            squares = squares + inputs.square_().sum(dim=0)
        mean = total / count
        spread = (squares / count - mean.square()).clamp(min=0.0).sqrt()
        self.input_mean.copy_(mean)
        self.input_scale.copy_(self._scale_of(mean, spread))
        self.input_steps.fill_(num_steps)

    def _inputs(self, observations: Tensor, actions: Tensor) -> Tensor:
        """The inputs to standardise, (M, *input_shape): a copy in a dtype that sums a batch accurately."""
        raise NotImplementedError

    def _scale_of(self, mean: Tensor, spread: Tensor) -> Tensor:
        """The divisor (*input_shape) of inputs with this mean and standard deviation."""
        raise NotImplementedError

    @torch.no_grad()
    def add_l2_gradient(self, l2: Float[Tensor, " E"]) -> None:
        """Add the gradient of each member's L2 penalty, ``l2`` times the sum of its squared weights.

        Biases and batch norm are left out. Written by hand because autograd takes longer for the penalty of a small
        network than for its loss.
        """
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and name.endswith("weight") and parameter.ndim > 1:
                gradient, weight = (t.view(self.num_members, -1) for t in (parameter.grad, parameter))
                gradient.addcmul_(weight, 2 * l2[:, None])

    def _drop(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.training or self.dropout == 0.0:
            return x
        return x * _dropout_mask(x, self.dropout, generator)


class EnsembleLinear(nn.Module):
    """E independent linear layers, (E, M, in) -> (E, M, out), initialised like `torch.nn.Linear`."""

    def __init__(
        self, num_members: int, in_features: int, out_features: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_members, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(num_members, 1, out_features))
        _init_uniform(self.parameters(), in_features, generator)

    def forward(self, x: Float[Tensor, "E M I"]) -> Float[Tensor, "E M O"]:
        """Apply each member's layer to its own inputs."""
        return torch.baddbmm(self.bias, x, self.weight)


class MLPEnsemble(RewardNetwork):
    """Leaky-ReLU networks on the features of (observation, action), by default with two hidden layers of 64 units.

    Inputs are standardised, then clipped to +-10. A feature is scaled by half the range of its space, or by the
    standard deviation of the training data if the space has no bounds. The standard deviation alone would blow up
    features that the untrained policy hardly varies (the position of a cart whose pole falls immediately), and the
    reward would extrapolate from them steeply and wrongly.
    Source: Christiano et al. 2017, appendix A.1.
    """

    known_scale: Tensor
    """shape (F,), half the range of each feature; 0 if its space has no bounds. Not saved, as the spaces define it"""

    def __init__(
        self,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: RewardConfig,
        generator: torch.Generator,
    ) -> None:
        specs = (observation_spec, action_spec) if config.use_actions else (observation_spec,)
        known_scale = torch.cat([torch.from_numpy(spec.feature_scales) for spec in specs])
        super().__init__(config.members, config.dropout, known_scale.shape)
        self.use_actions = config.use_actions
        self.register_buffer("known_scale", known_scale, persistent=False)
        self.input_scale.copy_(torch.where(known_scale > 0, known_scale, 1.0))
        widths = (len(known_scale), *config.hidden, 1)
        self.layers = nn.ModuleList(
            EnsembleLinear(config.members, i, o, generator) for i, o in pairwise(widths)
        )

    def forward(
        self, observations: Tensor, actions: Tensor, generator: torch.Generator | None = None
    ) -> Float[Tensor, "E M"]:
        """Each member's reward of each step; observations (M, F) float32."""
        x = (self.features(observations, actions) - self.input_mean) / self.input_scale
        x = x.clamp(-INPUT_LIMIT, INPUT_LIMIT).expand(self.num_members, -1, -1)
        for layer in self.layers[:-1]:
            x = self._drop(F.leaky_relu(layer(x), LEAKY_SLOPE), generator)
        return self.layers[-1](x).squeeze(-1)

    def features(self, observations: Tensor, actions: Tensor) -> Float[Tensor, "M F"]:
        """Observation and action features of each step as one vector."""
        flat = observations.flatten(1).float()
        return torch.cat([flat, actions], dim=1) if self.use_actions else flat

    def _inputs(self, observations: Tensor, actions: Tensor) -> Tensor:
        return self.features(observations, actions).double()

    def _scale_of(self, mean: Tensor, spread: Tensor) -> Tensor:
        # A spread below float32's resolution of the mean is rounding error; dividing by it would amplify the error.
        is_constant = spread <= 1e-6 * mean.abs().clamp(min=1.0)
        spread = torch.where(is_constant, torch.ones_like(spread), spread).float()
        return torch.where(self.known_scale > 0, self.known_scale, spread)


class ConvEnsemble(RewardNetwork):
    """The paper's convolutional network: 4 convolutions of 16 filters, a layer of 64 units and a scalar output.

    Each pixel is standardised by its own mean and standard deviation, then clipped to +-5. A ball that moves over a
    still background is a few pixels in a thousand, and they decide the reward: with pixels only scaled by 1/255,
    learning needs many times as many comparisons. Batch norm and dropout, if configured, are applied after each
    convolution of each member. Action features are appended to the input of the 64-unit layer. Images that the
    convolutions would shrink to less than 4 x 4 cells get half-kernel padding; 64 x 64 pixels need none.
    Source: Christiano et al. 2017, appendix A.2.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_action_features: int,
        config: RewardConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__(config.members, config.dropout, image_shape)
        self.input_scale.fill_(BYTE)
        self.use_actions = config.use_actions
        self._precision = config.precision
        channels, height, width = image_shape
        is_padded = min(_cells(height), _cells(width)) < MIN_CELLS
        outputs = FILTERS * config.members
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for index, (kernel, stride) in enumerate(CONVOLUTIONS):
            inputs, groups = (channels, 1) if index == 0 else (outputs, config.members)
            padding = kernel // 2 if is_padded else 0
            # Skips torch's own initialisation, which draws from the global random state.
            device = torch.get_default_device()
            layer = nn.utils.skip_init(
                nn.Conv2d, inputs, outputs, kernel, stride, padding, groups=groups, device=device
            )
            _init_uniform(layer.parameters(), inputs // groups * kernel**2, generator)
            self.convolutions.append(layer)
            self.norms.append(nn.BatchNorm2d(outputs) if config.batch_norm else nn.Identity())
        num_features = FILTERS * _cells(height, is_padded) * _cells(width, is_padded)
        num_features += num_action_features if config.use_actions else 0
        self.hidden = EnsembleLinear(config.members, num_features, UNITS, generator)
        self.out = EnsembleLinear(config.members, UNITS, 1, generator)

    def forward(
        self,
        observations: Tensor,
        actions: Tensor,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "E M"]:
        """Each member's reward of each step; observations (M, C, H, W) uint8."""
        x = self._blocks(observations)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu_(self._convolve(x, convolution, norm), LEAKY_SLOPE)
            x = self._drop(x, generator)
        x = x.float().reshape(len(x), self.num_members, -1).transpose(0, 1)
        if self.use_actions:
            x = torch.cat([x, actions.expand(self.num_members, -1, -1)], dim=-1)
        return self.out(F.leaky_relu(self.hidden(x), LEAKY_SLOPE)).squeeze(-1)

    def _blocks(self, images: Tensor) -> Tensor:
        """Standardised images in the layout of the first convolution, (M, stride^2 C, H', W')."""
        dtype = computing_dtype(self._precision, images.device)
        # Padding is zero after standardising as well: image, mean and scale are padded together.
        x, mean, scale = map(self._to_blocks, (images, self.input_mean[None], 1 / self.input_scale[None]))
        x = x.to(dtype).sub_(mean.to(dtype)).mul_(scale.to(dtype)).clamp_(-PIXEL_LIMIT, PIXEL_LIMIT)
        return x.permute(0, 3, 1, 2)

    def _to_blocks(self, images: Tensor) -> Tensor:
        layer = self.convolutions[0]
        assert isinstance(layer, nn.Conv2d)
        padding, kernel, stride = int(layer.padding[0]), layer.kernel_size[0], layer.stride[0]
        return space_to_depth(F.pad(images, (padding,) * 4) if padding else images, kernel, stride)

    def _convolve(self, x: Tensor, layer: nn.Module, norm: nn.Module) -> Tensor:
        """Apply a convolution and its norm; the first convolution takes `_blocks`. Channels are last in memory."""
        assert isinstance(layer, nn.Conv2d)
        weight, bias = layer.weight, cast(Tensor, layer.bias)
        stride, padding = layer.stride[0], int(layer.padding[0])
        if layer is self.convolutions[0]:
            weight, stride, padding = blocked_weight(weight, stride), 1, 0
        if isinstance(norm, nn.BatchNorm2d) and not norm.training:
            # In evaluation its statistics are constant: folded into the weights, they cost no pass over the images.
            weight, bias, norm = *_fold(norm, weight, bias), nn.Identity()
        weight = weight.to(x.dtype, memory_format=torch.channels_last)
        return norm(F.conv2d(x, weight, bias.to(x.dtype), stride, padding, groups=layer.groups))

    def _inputs(self, observations: Tensor, actions: Tensor) -> Tensor:
        # Whole numbers: their sums over a chunk, and those of their squares, are exact in float32.
        return observations.float()

    def _scale_of(self, mean: Tensor, spread: Tensor) -> Tensor:
        return spread.clamp(min=LEAST_PIXEL_SPREAD)


def build_network(
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    config: RewardConfig,
    generator: torch.Generator,
    architecture: dict[str, Any] | None = None,
) -> RewardNetwork:
    """Build a newly initialised ensemble for these spaces, on the CPU.

    Args:
        observation_spec: layout of the observations.
        action_spec: layout of the actions.
        config: kind and size of the network, and number of members.
        generator: on the CPU, draws the initial weights.
        architecture: `RewardNetwork.architecture` of a saved network, to build the same network.

    Raises:
        ValueError: when the network that ``config`` names does not suit the observations.
    """
    name = network_name(observation_spec, config)
    if name == "lm":
        # Loaded late: transformers is optional.
        from prefrl.reward.token_network import TokenEnsemble

        return TokenEnsemble(observation_spec, action_spec, config, generator, architecture)
    if name == "mlp":
        return MLPEnsemble(observation_spec, action_spec, config, generator)
    return ConvEnsemble(channels_first_shape(observation_spec), action_spec.num_features, config, generator)


def network_name(observation_spec: SpaceSpec, config: RewardConfig) -> str:
    """The network that ``config.network`` means for these observations: mlp, cnn or lm.

    Raises:
        ValueError: when the network does not suit the observations.
    """
    modality = modality_of(observation_spec)
    if config.network == "auto":
        return modality.network
    if config.network not in modality.networks:
        raise ValueError(
            f"reward.network is {config.network!r}, and the observations are {modality.plural} "
            f"({observation_spec.dtype} of shape {observation_spec.shape}); "
            f"set it to {' or '.join(('auto', *modality.networks))}"
        )
    return config.network


def _dropout_mask(x: Tensor, dropout: float, generator: torch.Generator | None) -> Tensor:
    """Mask with the strides of ``x``: 0 with probability ``dropout``, rounded to 1/256, else the factor that keeps the
    mean.

    Uses one random byte per element: drawing eight at a time takes a tenth of the time of Bernoulli numbers.
    """
    kept = min(255, max(1, round(256 * (1.0 - dropout))))
    words = torch.empty(math.ceil(x.numel() / 8), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    is_kept = words.view(torch.uint8).to(x.device).as_strided(x.size(), x.stride()) < kept
    # Viewed as bytes: converting booleans is seven times as slow.
    return is_kept.view(torch.uint8).to(x.dtype).mul_(256 / kept)


def _fold(norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that equals a convolution followed by batch norm, in evaluation mode."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return weight * scale[:, None, None, None], (bias - mean) * scale + norm.bias


def _cells(size: int, is_padded: bool = False) -> int:
    for kernel, stride in CONVOLUTIONS:
        size = (size + (2 * (kernel // 2) if is_padded else 0) - kernel) // stride + 1
    return size


def _init_uniform(parameters: Iterable[nn.Parameter], fan_in: int, generator: torch.Generator) -> None:
    bound = fan_in**-0.5
    with torch.no_grad():
        for parameter in parameters:
            parameter.uniform_(-bound, bound, generator=generator)
