"""Actor-critic on images for CPUs: the network of Mnih et al. 2015, computed several times faster.

The weights are those of Stable-Baselines3's `NatureCNN`, name by name, so that saved models load into its ``CnnPolicy``
and back. Only the computation differs: bfloat16 where the CPU has instructions for it, channels last, and the first
convolution over blocks of pixels (`prefrl.reward.fast_convolution`). With ``precision="float32"`` the outputs are those
of `NatureCNN` within rounding.

``centred=True`` makes a different network of the same layers, which learns games with small moving objects in less than
half the steps: its input is the difference of each pixel from that pixel's running mean.
"""

from __future__ import annotations

from typing import Any, cast, get_args

import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from prefrl.config import Precision
from prefrl.reward.fast_convolution import BYTE, blocked_weight, computing_dtype, space_to_depth

__all__ = ["FastCnnPolicy", "FastNatureCNN"]

KERNEL, STRIDE = 8, 4
"""of the first convolution"""
CENTRED_SCALE = 25.0
"""gray levels that centred pixels are divided by, a tenth of `NatureCNN`'s 255"""


class FastNatureCNN(NatureCNN):
    """`NatureCNN` from bytes to features (N, features_dim) float32.

    Args:
        observation_space: uint8 images (C, H, W).
        features_dim: units of the last layer.
        precision: of the convolutions and the last layer; "auto" is bfloat16 where that is faster. Parameters and
            outputs are always float32.
        centred: subtract from each pixel its running mean, updated with one minibatch per rollout. A still background
            then becomes zero, and a ball of a few pixels stands out. `NatureCNN` cannot use such weights.

    Raises:
        ValueError: when the precision is unknown.
    """

    pixel_mean: Tensor
    """in the layout of `blocks`, (H', W', 16 C)"""
    pixel_images: Tensor
    """number of images in that mean"""

    def __init__(
        self,
        observation_space: spaces.Box,
        features_dim: int = 512,
        precision: Precision = "auto",
        centred: bool = False,
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision is {precision!r}; it must be one of {get_args(Precision)}")
        super().__init__(observation_space, features_dim)
        self._precision = precision
        self._centred, self._is_new_rollout = centred, False
        if centred:
            one = torch.zeros((1, *observation_space.shape), dtype=torch.uint8)
            self.register_buffer("pixel_mean", self.blocks(one)[0].float())
            self.register_buffer("pixel_images", torch.zeros(()))
        self._frozen: tuple[tuple[int, ...], list[Tensor]] | None = None
        """versions of parameters and buffers with the tensors prepared from them, for acting"""

    def forward(self, observations: Tensor) -> Tensor:
        """Features of uint8 images (N, C, H, W), or of their `blocks` (N, H', W', 16 C); TypeError for other dtypes."""
        if observations.dtype != torch.uint8:
            raise TypeError(
                f"observations are {observations.dtype}; FastNatureCNN takes bytes and scales them"
            )
        is_images = observations.shape[1:] == self._observation_space.shape
        blocks = self.blocks(observations) if is_images else observations
        if self._centred and self._is_new_rollout:
            self._update_mean(blocks)
        first, *rest = self._weights(blocks.device)
        x = blocks.to(first.dtype)
        if self._centred:
            # Before the convolution: afterwards bfloat16 has rounded away what is small against the background.
            x = x.sub_(rest[7])
        x = x.permute(0, 3, 1, 2)  # channels last in memory
        x = F.relu_(F.conv2d(x, first, rest[0]))
        x = F.relu_(F.conv2d(x, rest[1], rest[2], stride=2))
        x = F.relu_(F.conv2d(x, rest[3], rest[4]))
        return F.relu(F.linear(x.flatten(1), rest[5], rest[6])).float()

    def train(self, mode: bool = True) -> FastNatureCNN:
        """Change mode, as SB3 does before it acts and before it learns."""
        # Fused optimisers change parameters without a new version number.
        self._frozen, self._is_new_rollout = None, mode
        super().train(mode)
        return self

    @staticmethod
    def blocks(images: Tensor) -> Tensor:
        """Rearrange images (N, C, H, W) as the first convolution reads them, (N, H', W', 16 C)."""
        return space_to_depth(images, KERNEL, STRIDE)

    @torch.no_grad()
    def _update_mean(self, blocks: Tensor) -> None:
        # One minibatch per rollout: a mean that changes more often makes gradients disagree.
        self._is_new_rollout = False
        self.pixel_images += len(blocks)
        self.pixel_mean += (blocks.float().mean(dim=0) - self.pixel_mean) * (len(blocks) / self.pixel_images)

    def _weights(self, device: torch.device) -> list[Tensor]:
        if self.training or torch.is_grad_enabled():
            return self._prepared(device)
        # Acting takes many small steps between two updates; preparing the weights at each would take longer.
        versions = tuple(tensor._version for tensor in [*self.parameters(), *self.buffers()])
        if self._frozen is None or self._frozen[0] != versions:
            self._frozen = versions, self._prepared(device)
        return self._frozen[1]

    def _prepared(self, device: torch.device) -> list[Tensor]:
        dtype = computing_dtype(self._precision, device)
        layers = [layer for layer in [*self.cnn, *self.linear] if isinstance(layer, (nn.Conv2d, nn.Linear))]
        scale = CENTRED_SCALE if self._centred else BYTE
        prepared: list[Tensor] = []
        for index, layer in enumerate(layers):
            weight = blocked_weight(layer.weight, STRIDE) / scale if index == 0 else layer.weight
            layout = torch.channels_last if weight.ndim == 4 else torch.preserve_format
            prepared += [weight.to(dtype, memory_format=layout), cast(Tensor, layer.bias).to(dtype)]
        return [*prepared, self.pixel_mean.to(dtype)] if self._centred else prepared

    def __getstate__(self) -> dict[str, Any]:
        """Without what is prepared from the parameters."""
        return self.__dict__ | {"_frozen": None}


class FastCnnPolicy(ActorCriticCnnPolicy):
    """SB3's ``CnnPolicy`` on `FastNatureCNN`, for PPO and A2C: ``PPO(FastCnnPolicy, venv)``.

    Logits, values and losses are float32. Takes SB3's arguments; ``features_extractor_kwargs`` may hold ``precision``
    and ``centred``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        # No layers after the features, as SB3 has it for NatureCNN.
        kwargs = {"features_extractor_class": FastNatureCNN} | kwargs
        super().__init__(
            observation_space, action_space, lr_schedule, [] if net_arch is None else net_arch, **kwargs
        )

    # In each of these methods SB3 scales images before it extracts features; this network takes bytes.

    def extract_features(  # type: ignore[override]  # SB3's own signatures differ
        self, obs: Tensor, features_extractor: BaseFeaturesExtractor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Features for actor and critic."""
        if self.share_features_extractor:
            return (features_extractor or self.features_extractor)(obs)
        return self.pi_features_extractor(obs), self.vf_features_extractor(obs)

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """The policy's distribution of actions."""
        return self._get_action_dist_from_latent(
            self.mlp_extractor.forward_actor(self.pi_features_extractor(obs))
        )

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Values (N, 1)."""
        return self.value_net(self.mlp_extractor.forward_critic(self.vf_features_extractor(obs)))
