"""Language models as agents: PPO on tokens, online DPO, and the trainers SFT, DPO and GRPO."""

from prefrl_agents.text.dpo import DPO, DPOReport, RankedResponses
from prefrl_agents.text.grpo import GRPO, GRPOReport
from prefrl_agents.text.online_dpo import OnlineDPO
from prefrl_agents.text.overoptimisation_callback import (
    OveroptimisationCallback,
    OveroptimisationPoint,
    plot_overoptimisation,
)
from prefrl_agents.text.policy import LanguageModelPolicy
from prefrl_agents.text.sequences import Sequences, response_log_probs
from prefrl_agents.text.sft import fine_tune, fine_tune_policy, mean_loss
from prefrl_agents.text.token_ppo import TokenPPO

__all__ = [
    "DPO",
    "GRPO",
    "DPOReport",
    "GRPOReport",
    "LanguageModelPolicy",
    "OnlineDPO",
    "OveroptimisationCallback",
    "OveroptimisationPoint",
    "RankedResponses",
    "Sequences",
    "TokenPPO",
    "fine_tune",
    "fine_tune_policy",
    "mean_loss",
    "plot_overoptimisation",
    "response_log_probs",
]
