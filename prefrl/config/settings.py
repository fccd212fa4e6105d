"""The settings of a run, as frozen dataclasses. The defaults suit small control tasks; presets hold the others.

The docstring of each setting is its ``--help`` text. Nothing is computed here: a config is written to ``config.json``
when a run starts, and every process reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from prefrl.config.text import FineTuningConfig

__all__ = [
    "ROLES",
    "AgentConfig",
    "EnvConfig",
    "JsonDict",
    "OracleConfig",
    "Precision",
    "QueryConfig",
    "RewardConfig",
    "RunConfig",
    "RuntimeConfig",
    "ScheduleConfig",
    "TeacherConfig",
]

JsonDict = dict[str, Any]
ROLES = ("policy", "oracle", "reward")
"""the three workers of a run"""
Precision = Literal["auto", "bfloat16", "float32"]
"""dtype that convolutions compute in; "auto" is bfloat16 if the hardware supports it"""


@dataclass(frozen=True)
class EnvConfig:
    """The environment the agent acts in."""

    id: str = "Pendulum-v1"
    """Gymnasium id; ``module:Name-v0`` imports the module first"""
    kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of ``gymnasium.make``"""
    num_envs: int = 8
    """number of environment copies that are stepped in parallel"""
    endless: bool = True
    """hide episode ends from the agent, because they would leak the task: episodes are reset internally"""
    termination_penalty: float = 0.0
    """penalty subtracted from the true reward, for the oracle only, on each step that terminates an episode or loses a
    life"""
    clip_rewards: bool = False
    """clip the true reward to [-1, 1] for the oracle; the true return is not clipped"""
    responses_per_prompt: int = 1
    """for texts: number of copies that get the same prompt, so that their responses can be compared"""
    native: bool = True
    """step all copies at once if the environment supports it (Gymnasium's ``vector_entry_point``), as Atari games do"""


@dataclass(frozen=True)
class AgentConfig:
    """The Stable-Baselines3 agent."""

    algorithm: str = "auto"
    """ppo, a2c, dqn or sac; for texts token_ppo, or online_dpo, which learns from the answers without a learned reward;
    "auto" is ppo, or token_ppo for texts; ``module:Class`` is your own Stable-Baselines3 algorithm"""
    policy: str = "auto"
    """SB3 policy name, or FastCnnPolicy (from prefrl, for images); "auto" chooses Mlp, Cnn or MultiInput by the
    observations"""
    hyperparameters: JsonDict = field(default_factory=dict)
    """keyword arguments of the algorithm; learning_rate and clip_range may also be schedules: "lin_3e-4" decays
    linearly to 0, "lin_3e-4_1e-4" to 1e-4, and "warm_3e-4" rises during the first 5% of training and then decays"""
    relabel: bool = True
    """off-policy agents: relabel the whole replay buffer when a new learned reward arrives"""
    overlap: bool = False
    """ppo and a2c: collect the next rollout while learning from the last one, with a policy that is one update behind;
    faster if the environment is slow"""
    fine_tuning: FineTuningConfig = field(default_factory=partial(FineTuningConfig, demonstrations=0))
    """for texts: supervised fine-tuning before preference learning; the KL penalty is measured from the fine-tuned
    model"""
    language_model: str = "tiny"
    """for texts: size of a new model (tiny, small, medium, large), or a checkpoint's folder or hub name"""
    deterministic: bool = True
    """in evaluations and videos, take the most likely action instead of sampling one"""


@dataclass(frozen=True)
class RewardConfig:
    """The learned reward: an ensemble over (observation, action)."""

    network: Literal["auto", "mlp", "cnn", "lm"] = "auto"
    """"auto" is the paper's convolutional network for uint8 images, a language model for texts, and an MLP otherwise"""
    language_model: str = "tiny"
    """for texts: size of a new model (tiny, small, medium, large), or a checkpoint's folder or hub name"""
    hidden: tuple[int, ...] = (64, 64)
    """widths of the MLP's hidden layers"""
    members: int = 3
    """number of networks in the ensemble"""
    use_actions: bool = True
    """False makes the reward a function of the observation only"""
    loss: str = "bradley_terry"
    """bradley_terry, plackett_luce (rankings of at most 12 segments), bradley_terry_margin (log-sigmoid of the
    difference minus a margin), margin (hinge), regression (fits the true returns of the segments instead of the
    comparisons: an ablation in the paper, for synthetic oracles), or your own as module:name, as described at
    `prefrl.reward.loss_registry.PREFERENCE_LOSSES`"""
    margin: float = 1.0
    """margin of the losses bradley_terry_margin and margin, in units of the unnormalised segment return"""
    label_noise: float = 0.1
    """share of answers assumed uniformly random: P' = (1 - noise) P + noise / 2"""
    learning_rate: float = 1e-3
    """learning rate of Adam"""
    decay: bool = False
    """in each fit, the learning rate rises during the first 10% of the steps and falls to 0 by the end; suits language
    models that see each ranking once or twice"""
    batch_size: int = 32
    """queries per minibatch"""
    batch_shared: bool = False
    """put queries that share segments into the same minibatch, or into as few as possible; for pairs among a few texts,
    so that each text is computed once per epoch"""
    initial_epochs: int = 200
    """epochs on the first labels, before the agent is trained"""
    epochs_per_update: int = 20
    """maximum number of epochs each time new comparisons arrive"""
    queries_per_label: float | None = None
    """maximum number of queries drawn in a fit, with repetition, per new comparison; limits the work when labels are
    many or arrive fast; None sets no limit"""
    patience_epochs: int | None = None
    """end a fit when its out-of-bag loss has not fallen for this many epochs; None never ends it early"""
    last_labels: int = 3000
    """train on this many of the newest comparisons"""
    bootstrap: bool = True
    """give each member its own bootstrap weights of the comparisons"""
    l2: float = 1e-4
    """initial weight of the L2 penalty"""
    adaptive_l2: bool = True
    """adapt the L2 weight to keep the validation loss between 1.1 and 1.5 times the training loss"""
    dropout: float = 0.0
    """dropout probability, in training"""
    batch_norm: bool = False
    """apply batch norm after each convolution"""
    device: str = "auto"
    """device to train and evaluate on: cpu, cuda, cuda:N, or auto, which is a GPU if CUDA can use one"""
    precision: Precision = "float32"
    """dtype of the convolutions; "auto" is bfloat16 if the hardware supports it"""
    centring: float = 0.0
    """weight of a penalty, the mean of (r1 + r2)^2 over pairs, that keeps scores near zero; .01 is usual for texts"""
    std: float = 1.0
    """standard deviation each member's reward is normalised to"""
    aggregate: Literal["mean", "worst", "mean_minus_variance"] = "mean"
    """how the members' normalised rewards are combined into the agent's reward (Coste et al. 2023)"""
    variance_penalty: float = 0.5
    """weight of the variance over members, for mean_minus_variance"""
    validation_fraction: float = 0.1
    """share of segments held out of training to report the accuracy; for texts, share of prompts. Use 0 if there are
    few prompts: nothing is learned about a prompt that is held out, and the policy's responses to it go wrong"""


@dataclass(frozen=True)
class QueryConfig:
    """How queries are chosen."""

    sampler: str = "disagreement"
    """uniform, disagreement, entropy, information_gain, k_center (far apart from each other and from what was asked
    before), disagreement_k_center or entropy_k_center (k_center among the better half), or your own as module:name, as
    described at `prefrl.queries.SAMPLERS`; the first queries are always uniform"""
    segment_steps: int = 25
    """length of a segment, in agent steps"""
    within_episodes: bool = False
    """no segment crosses the end of an episode, hidden or not, so that the reward does not blame the start of the next
    episode for the end of the last. Episodes shorter than a segment are never asked about"""
    items: int = 2
    """segments per query, K"""
    candidates: int = 10
    """candidate queries drawn for each query asked"""
    batch: int = 10
    """queries chosen at a time, and new comparisons per update of the reward"""
    window_segments: int = 500
    """draw candidates from this many of the newest segments in the pool"""
    repeat_share: float = 0.0
    """share of queries that repeat an answered query with its segments in another order, to measure how consistent an
    annotator is"""


@dataclass(frozen=True)
class ScheduleConfig:
    """When labels are due, by the policy's step."""

    kind: Literal["hyperbolic", "constant"] = "hyperbolic"
    """label rate over the run; hyperbolic: proportional to half_life_steps / (step + half_life_steps)"""
    initial_share: float = 0.25
    """share of the label budget asked about the untrained policy's segments, before any training"""
    half_life_steps: int = 2_000_000
    """agent step at which the hyperbolic rate has fallen to half"""
    level_steps: int = 0
    """hold the hyperbolic rate for this many steps at a time, as the paper does on Atari; 0 lets it fall smoothly"""
    ends_at: float = 0.8
    """share of the run's steps after which the last label is due"""


@dataclass(frozen=True)
class TeacherConfig:
    """The synthetic oracle: a B-Pref teacher (Lee et al. 2021). The defaults give the perfect teacher."""

    beta: float = float("inf")
    """rationality: labels are drawn from softmax(beta * returns); infinity is deterministic"""
    gamma: float = 1.0
    """discount of earlier steps: below 1, the most recent steps count most (a myopic teacher)"""
    mistake: float = 0.0
    """probability that an answer is flipped"""
    skip: float = 0.0
    """threshold below which the answer is "can't tell", as a share of the mean return"""
    equal: float = 0.0
    """threshold below which the answer is a tie, as a share of the mean return"""


@dataclass(frozen=True)
class OracleConfig:
    """Who answers the queries."""

    kind: str = "synthetic"
    """synthetic (answers by the true reward), human, mixed (a person whenever one is at the viewer, else the synthetic
    oracle), or your own as module:name, as described at `prefrl.oracles.ORACLES`"""
    teacher: TeacherConfig = field(default_factory=TeacherConfig)

    @property
    def asks_people(self) -> bool:
        """Whether people may answer, so that clips have to be recorded."""
        return self.kind in ("human", "mixed")


@dataclass(frozen=True)
class RuntimeConfig:
    """Processes, limits and checkpoints."""

    launcher: Literal["processes", "serial", "script"] = "processes"
    """processes (one each for policy, oracle and reward), serial (all in one process, reproducible bit for bit), or
    script (your own training script holds the agent and uses `prefrl.PreferenceCallback`)"""
    pool_segments: int = 2000
    """number of unqueried segments kept; the oldest are dropped first"""
    max_label_lag: int | None = None
    """the policy waits while more than this many due labels have not reached its reward; None never waits"""
    checkpoint_steps: int = 10_000
    """save the agent every this many agent steps"""
    lease_s: float = 120.0
    """seconds after which an unanswered query is offered to others again"""
    max_restarts: int = 5
    """restarts of one process before the run is given up"""


@dataclass(frozen=True)
class RunConfig:
    """All settings of a run."""

    env: EnvConfig = field(default_factory=EnvConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    queries: QueryConfig = field(default_factory=QueryConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    oracle: OracleConfig = field(default_factory=OracleConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    labels: int = 200
    """label budget: comparisons to ask for in the whole run; "can't tell" answers do not count"""
    steps: int = 50_000
    """agent steps, summed over all environment copies"""
    seed: int = 0
    """random seed of the run"""
    eval_episodes: int = 20
    """episodes in the ordinary environment, at the end of the run, to measure the true return"""
