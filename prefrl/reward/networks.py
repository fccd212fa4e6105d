"""The ensemble's networks: E independent reward functions, trained and evaluated as one batched module.

All members see the same minibatch. Fully connected layers are one batched product; of the convolutions the
first is a single dense one with 16 E filters, the others are grouped. Parameters lie member by member.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from prefrl.config import RewardConfig
from prefrl.fast_convolution import BYTE, blocked_weight, computing_dtype, space_to_depth
from prefrl.reward.inputs import channels_first_shape
from prefrl.spaces import SpaceSpec

__all__ = ["ConvEnsemble", "EnsembleLinear", "MLPEnsemble", "RewardNetwork", "build_network"]

LEAKY_SLOPE = 0.01
INPUT_LIMIT = 10.0
"""standardised inputs of the MLP are clipped to +- this"""
FILTERS = 16
UNITS = 64
CONVOLUTIONS = ((7, 3), (5, 2), (3, 1), (3, 1))
"""(kernel, stride) of each convolution: Christiano et al. 2017, appendix A.2"""
MIN_CELLS = 4
"""height and width the convolutions must leave; smaller images are padded"""


class RewardNetwork(nn.Module):
    """E reward functions of M steps: ``forward(observations, actions, generator) -> (E, M)``.

    Observations are as `prefrl.reward.inputs.observation_tensor` lays them out, actions are (M, A) features.
    The generator draws dropout masks in training mode; the global random state is never touched.
    """

    def __init__(self, num_members: int, dropout: float) -> None:
        super().__init__()
        self.num_members = num_members
        self.dropout = dropout

    @torch.no_grad()
    def add_l2_gradient(self, l2: Float[Tensor, " E"]) -> None:
        """Add the gradient of each member's L2 penalty, ``l2`` times the sum of its squared weights.

        Biases and batch norm are left out. By hand, because small networks take autograd longer to differentiate
        the penalty than to differentiate the loss.
        """
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and name.endswith("weight") and parameter.ndim > 1:
                gradient, weight = (t.view(self.num_members, -1) for t in (parameter.grad, parameter))
                gradient.addcmul_(weight, 2 * l2[:, None])

    def _drop(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.training or self.dropout == 0.0:
            return x
        keep = 1.0 - self.dropout
        return x * torch.empty_like(x).bernoulli_(keep, generator=generator) / keep


class EnsembleLinear(nn.Module):
    """E linear layers side by side, (E, M, in) -> (E, M, out), drawn as in `torch.nn.Linear`."""

    def __init__(
        self, num_members: int, in_features: int, out_features: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_members, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(num_members, 1, out_features))
        _init_uniform(self.parameters(), in_features, generator)

    def forward(self, x: Float[Tensor, "E M I"]) -> Float[Tensor, "E M O"]:
        """Apply each member's own layer."""
        return torch.baddbmm(self.bias, x, self.weight)


class MLPEnsemble(RewardNetwork):
    """Leaky-ReLU networks over the features of (observation, action), by default two hidden layers of 64.

    Inputs are centred and scaled by numbers frozen into the module, then clipped to +-10. A feature's scale is
    what its space says of its range; only where that says nothing is it the spread of the training data. A spread
    would blow up what the first, untrained policy hardly varies (the position of a cart that falls at once), and
    the reward would extrapolate from it steeply and wrongly.
    Source: Christiano et al. 2017, appendix A.1.
    """

    input_mean: Tensor
    input_scale: Tensor
    input_steps: Tensor
    """scalar, int64: how many steps the statistics were taken over"""

    def __init__(
        self,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: RewardConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__(config.members, config.dropout)
        self.use_actions = config.use_actions
        specs = (observation_spec, action_spec) if config.use_actions else (observation_spec,)
        self._known_scale = torch.cat([torch.from_numpy(spec.feature_scales) for spec in specs])
        num_features = len(self._known_scale)
        widths = (num_features, *config.hidden, 1)
        self.layers = nn.ModuleList(
            EnsembleLinear(config.members, i, o, generator) for i, o in pairwise(widths)
        )
        self.register_buffer("input_mean", torch.zeros(num_features))
        self.register_buffer("input_scale", torch.where(self._known_scale > 0, self._known_scale, 1.0))
        self.register_buffer("input_steps", torch.tensor(0))

    def forward(
        self, observations: Tensor, actions: Tensor, generator: torch.Generator | None = None
    ) -> Float[Tensor, "E M"]:
        """Predict each member's reward of each step."""
        x = (self.features(observations, actions) - self.input_mean) / self.input_scale
        x = x.clamp(-INPUT_LIMIT, INPUT_LIMIT).expand(self.num_members, -1, -1)
        for layer in self.layers[:-1]:
            x = self._drop(F.leaky_relu(layer(x), LEAKY_SLOPE), generator)
        return self.layers[-1](x).squeeze(-1)

    def features(self, observations: Tensor, actions: Tensor) -> Float[Tensor, "M F"]:
        """The raw inputs of a step as one float vector."""
        flat = observations.flatten(1).float()
        return torch.cat([flat, actions], dim=1) if self.use_actions else flat

    def set_input_statistics(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Freeze the means of the steps in ``batches``, and their spread as the scale where no range is known."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for observations, actions in batches:
            features = self.features(observations, actions).double()
            count, total = count + len(features), total + features.sum(dim=0)
            squares = squares + features.square().sum(dim=0)
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0.0).sqrt()
        # Below float32's resolution of the mean, the spread is rounding and would be blown up to the clip.
        is_constant = std <= 1e-6 * mean.abs().clamp(min=1.0)
        self.input_mean.copy_(mean)
        spread = torch.where(is_constant, torch.ones_like(std), std).float()
        self.input_scale.copy_(torch.where(self._known_scale > 0, self._known_scale, spread))
        self.input_steps.fill_(count)


class ConvEnsemble(RewardNetwork):
    """The paper's convolutional net: 4 convolutions of 16 filters, 64 units, a scalar.

    Pixels are scaled by 1/255 here. Batch norm and dropout, where configured, act on each convolution of each
    member. Action features join at the 64-unit layer. Images that the convolutions would shrink to less than
    4 x 4 cells keep the same layers with half-kernel padding; 64 x 64 pixels are enough without.
    Source: Christiano et al. 2017, appendix A.2.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_action_features: int,
        config: RewardConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__(config.members, config.dropout)
        self.use_actions = config.use_actions
        self._precision = config.precision
        channels, height, width = image_shape
        is_padded = min(_cells(height), _cells(width)) < MIN_CELLS
        outputs = FILTERS * config.members
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for index, (kernel, stride) in enumerate(CONVOLUTIONS):
            inputs, groups = (channels, 1) if index == 0 else (outputs, config.members)
            padding = kernel // 2 if is_padded else 0
            # torch's own initialisation would draw from the global random state
            layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, kernel, stride, padding, groups=groups)
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
        """Predict each member's reward of each step; observations (M, C, H, W) uint8."""
        x = observations
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self._drop(F.leaky_relu(norm(self._convolve(x, convolution)), LEAKY_SLOPE), generator)
        x = x.float().reshape(len(x), self.num_members, -1).transpose(0, 1)
        if self.use_actions:
            x = torch.cat([x, actions.expand(self.num_members, -1, -1)], dim=-1)
        return self.out(F.leaky_relu(self.hidden(x), LEAKY_SLOPE)).squeeze(-1)

    def _convolve(self, x: Tensor, layer: nn.Module) -> Tensor:
        """Apply a convolution, to bytes or to what the one before gave; channels last in memory."""
        assert isinstance(layer, nn.Conv2d)
        dtype = computing_dtype(self._precision, x.device)
        weight, stride, padding = layer.weight, layer.stride[0], int(layer.padding[0])
        if x.dtype == torch.uint8:
            x = F.pad(x, (padding,) * 4) if padding else x
            x = space_to_depth(x, layer.kernel_size[0], stride).permute(0, 3, 1, 2).to(dtype)
            weight, stride, padding = blocked_weight(weight, stride) / BYTE, 1, 0
        weight = weight.to(dtype, memory_format=torch.channels_last)
        bias = cast(Tensor, layer.bias).to(dtype)
        return F.conv2d(x, weight, bias, stride, padding, groups=layer.groups)


def build_network(
    observation_spec: SpaceSpec, action_spec: SpaceSpec, config: RewardConfig, generator: torch.Generator
) -> MLPEnsemble | ConvEnsemble:
    """A freshly initialised ensemble for these spaces.

    Raises:
        ValueError: when a convolutional net is asked for observations that are no uint8 images.
    """
    if config.network == "cnn" and not observation_spec.is_image:
        raise ValueError(
            f"the cnn reward network needs uint8 images of 3 dimensions, the observations are "
            f"{observation_spec.dtype} of shape {observation_spec.shape}; set network to auto or mlp"
        )
    if config.network == "mlp" or not observation_spec.is_image:
        return MLPEnsemble(observation_spec, action_spec, config, generator)
    return ConvEnsemble(channels_first_shape(observation_spec), action_spec.num_features, config, generator)


def _cells(size: int, is_padded: bool = False) -> int:
    for kernel, stride in CONVOLUTIONS:
        size = (size + (2 * (kernel // 2) if is_padded else 0) - kernel) // stride + 1
    return size


def _init_uniform(parameters: Iterable[nn.Parameter], fan_in: int, generator: torch.Generator) -> None:
    bound = fan_in**-0.5
    with torch.no_grad():
        for parameter in parameters:
            parameter.uniform_(-bound, bound, generator=generator)
