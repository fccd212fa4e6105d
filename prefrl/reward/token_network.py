"""Reward networks for texts: language models with a scalar head in place of the vocabulary logits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import complete
from prefrl.reward.networks import RewardNetwork
from prefrl.text.models import LanguageModel, deduplicate_prefixes, response_hidden

__all__ = ["TokenEnsemble"]

_SEED_LIMIT = 2**31


class TokenEnsemble(RewardNetwork):
    """E language models, each with a scalar head on the hidden state of a text's last token.

    Each text takes one forward pass per member, however many queries and pairs contain it: equal texts are computed
    once, and so is a long prompt that several responses share. The head is initialised from N(0, 1 / (D + 1)), D the
    width of the hidden states; dropout is off.
    Source: Ouyang et al. 2022, section 3.5; Stiennon et al. 2020, appendix B.

    Args:
        observation_spec: of kind "tokens".
        action_spec: of kind "token".
        config: ``language_model`` is a size or a checkpoint.
        generator: on the CPU, draws the weights that no checkpoint has.
        architecture: `architecture` of a saved network, to build the same in place of ``config.language_model``.

    Raises:
        ValueError: when there is no such model, or its vocabulary or text length does not suit these texts.
    """

    def __init__(
        self,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: RewardConfig,
        generator: torch.Generator,
        architecture: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(config.members, 0.0, (1,))
        vocab_size, max_tokens = action_spec.categories[0], observation_spec.shape[0] - 2
        self.backbones, self.heads = nn.ModuleList(), nn.ModuleList()
        for _ in range(config.members):
            seed = int(torch.randint(_SEED_LIMIT, (), generator=generator, device="cpu"))
            name = config.language_model if architecture is None else architecture
            model = LanguageModel.make(name, vocab_size, max_tokens, seed=seed)
            self.architecture = model.architecture
            head = nn.utils.skip_init(nn.Linear, model.num_features, 1, device=torch.get_default_device())
            nn.init.normal_(head.weight, std=(model.num_features + 1) ** -0.5, generator=generator)
            nn.init.zeros_(head.bias)
            # Without the layer that gives logits, which a reward does not use.
            self.backbones.append(model.backbone)
            self.heads.append(head)

    def forward(
        self, observations: Tensor, actions: Tensor, generator: torch.Generator | None = None
    ) -> Float[Tensor, "E M"]:
        """Score M texts, each with the token that its step adds: observations (M, 2 + L), actions (M, 1), float32."""
        texts = complete(observations.cpu().numpy(), actions[:, 0].cpu().numpy())
        ids, lengths, prompt_lengths = (torch.from_numpy(array).to(observations.device) for array in texts)
        if not len(ids):
            return observations.new_zeros(len(self.heads), 0)
        ids, lengths, places = deduplicate_prefixes(ids, lengths)
        # Equal texts may have different prompt lengths; any one will do, as it only decides what is computed together.
        prompt_lengths = torch.empty_like(lengths).scatter_(0, places, prompt_lengths)
        every, last = torch.arange(len(ids), device=ids.device), lengths - prompt_lengths
        members = [
            head(response_hidden(backbone, ids, prompt_lengths, lengths)[every, last])[:, 0]
            for backbone, head in zip(self.backbones, self.heads, strict=True)
        ]
        return torch.stack(members)[:, places]

    def train(self, mode: bool = True) -> TokenEnsemble:
        """Do nothing: dropout stays off."""
        return super().train(False)

    def set_input_statistics(self, batches: Iterable[tuple[Tensor, Tensor]], num_steps: int) -> None:
        """Keep ``num_steps`` only: token ids are not standardised."""
        self.input_steps.fill_(num_steps)

    @torch.no_grad()
    def add_l2_gradient(self, l2: Float[Tensor, " E"]) -> None:
        """See `RewardNetwork.add_l2_gradient`; embeddings count as weights."""
        for member, weight in enumerate(l2.tolist()):
            for part in (self.backbones[member], self.heads[member]):
                for parameter in part.parameters():
                    if parameter.grad is not None and parameter.ndim > 1:
                        parameter.grad.add_(parameter, alpha=2 * weight)
