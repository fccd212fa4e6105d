"""The settings of a run, as frozen dataclasses. Defaults suit small control tasks; presets name the rest.

Nothing here is computed: a config is written to ``config.json`` when a run starts and read back by every process.
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
"""what convolutions compute in; "auto" is bfloat16 where the machine has instructions for it"""


@dataclass(frozen=True)
class EnvConfig:
    """The environment the agent acts in."""

    id: str = "Pendulum-v1"
    """Gymnasium id; ``module:Name-v0`` imports the module first"""
    kwargs: JsonDict = field(default_factory=dict)
    """keyword arguments of ``gymnasium.make``"""
    num_envs: int = 8
    """copies stepped side by side"""
    endless: bool = True
    """hide episode ends from the agent (they would leak the task): reset inside, go on"""
    termination_penalty: float = 0.0
    """taken from the true reward, for the oracle alone, on each step that terminates an episode or loses a life"""
    clip_rewards: bool = False
    """clip the true reward to [-1, 1] for the oracle; the true return is not clipped"""
    responses_per_prompt: int = 1
    """for texts: copies in blocks of so many are given the same prompts, so that their responses can be compared"""
    native: bool = True
    """step all copies at once where the environment can, as Atari games do (Gymnasium's ``vector_entry_point``)"""


@dataclass(frozen=True)
class AgentConfig:
    """The Stable-Baselines3 agent."""

    algorithm: str = "auto"
    """ppo, a2c, dqn or sac; for texts token_ppo, or online_dpo, which learns from the answers without a learned reward;
    "auto" takes ppo, or token_ppo for texts; ``module:Class`` is a Stable-Baselines3 algorithm of your own"""
    policy: str = "auto"
    """SB3 policy name, or FastCnnPolicy (ours, images); "auto" takes Mlp, Cnn or MultiInput by the observations"""
    hyperparameters: JsonDict = field(default_factory=dict)
    """keyword arguments of the algorithm; learning_rate and clip_range also as "lin_3e-4" for a linear decay to 0, and
    "lin_3e-4_1e-4" for one to 1e-4; "warm_3e-4" rises in the first twentieth and then decays"""
    relabel: bool = True
    """off-policy agents: relabel the whole replay buffer when a new learned reward arrives"""
    overlap: bool = False
    """ppo and a2c: act for the next rollout while learning from the last, one update behind; faster where the
    environment takes its time"""
    fine_tuning: FineTuningConfig = field(default_factory=partial(FineTuningConfig, demonstrations=0))
    """for texts: what the model learns before anything else; the penalty on leaving it is measured from there"""
    language_model: str = "tiny"
    """for texts: size of a model made anew (tiny, small, medium, large), or a checkpoint's folder or hub name"""
    deterministic: bool = True
    """evaluations, and films, act by the most likely action instead of drawing one"""


@dataclass(frozen=True)
class RewardConfig:
    """The learned reward: an ensemble over (observation, action)."""

    network: Literal["auto", "mlp", "cnn", "lm"] = "auto"
    """"auto" takes the paper's convolutional net for uint8 images, a language model for texts, else the MLP"""
    language_model: str = "tiny"
    """for texts: one of the sizes of `prefrl.text.models.SIZES`, or a checkpoint's folder or name"""
    hidden: tuple[int, ...] = (64, 64)
    """widths of the MLP's hidden layers"""
    members: int = 3
    use_actions: bool = True
    """False makes the reward a function of the observation alone"""
    loss: str = "bradley_terry"
    """bradley_terry, plackett_luce (rankings of at most 12 segments), bradley_terry_margin (log-sigmoid of the
    difference minus a margin), margin (hinge), regression (fits the true returns of the segments in place of
    comparisons: an ablation of the paper, for synthetic oracles), or module:name of your own, as
    `prefrl.reward.loss_registry.PREFERENCE_LOSSES` describes"""
    margin: float = 1.0
    """of the losses bradley_terry_margin and margin, in units of the unnormalised segment return"""
    label_noise: float = 0.1
    """share of answers assumed uniformly random: P' = (1 - noise) P + noise / 2"""
    learning_rate: float = 1e-3
    decay: bool = False
    """in each fit the learning rate rises in the first tenth and falls to 0 by the end, as suits language models that
    see each ranking once or twice"""
    batch_size: int = 32
    """queries a minibatch"""
    batch_shared: bool = False
    """queries that share segments come in one minibatch, or in as few as hold them; for pairs among the same few texts,
    each of which is then computed and learned from once a pass"""
    initial_epochs: int = 200
    """epochs on the first labels, before the agent is trained"""
    epochs_per_update: int = 20
    """epochs at most whenever new comparisons have come in"""
    queries_per_label: float | None = None
    """and at most this many queries, drawn again and again, for each new comparison: bounds the work where labels come
    fast or are many; None sets no such limit"""
    patience_epochs: int | None = None
    """a fit ends when its out-of-bag loss has not fallen for this many epochs; None never ends it early"""
    last_labels: int = 3000
    """train on the newest this many comparisons"""
    bootstrap: bool = True
    """give every member its own bootstrap weights of the comparisons"""
    l2: float = 1e-4
    """initial weight of the L2 penalty"""
    adaptive_l2: bool = True
    """adapt the L2 weight so that validation loss stays within 1.1 to 1.5 times training loss"""
    dropout: float = 0.0
    batch_norm: bool = False
    device: str = "auto"
    """where it is trained and evaluated: cpu, cuda, cuda:N, or auto, a GPU if CUDA can use one"""
    precision: Precision = "float32"
    """of the convolutions; "auto" is bfloat16 where the machine has instructions for it"""
    centring: float = 0.0
    """weight of the mean (r1 + r2)^2 over pairs, which holds scores near zero; .01 is usual for texts"""
    std: float = 1.0
    """standard deviation each member's reward is normalised to"""
    aggregate: Literal["mean", "worst", "mean_minus_variance"] = "mean"
    """what the agent is given of the members' normalised rewards (Coste et al. 2023)"""
    variance_penalty: float = 0.5
    """weight of the variance over members, for mean_minus_variance"""
    validation_fraction: float = 0.1
    """share of segments held out of training, for the reported accuracy; of texts, share of prompts, and 0 where there
    are few: of one that is held out nothing is learned, and the policy's responses to it go wrong"""


@dataclass(frozen=True)
class QueryConfig:
    """How queries are chosen."""

    sampler: str = "disagreement"
    """uniform, disagreement, entropy, information_gain, k_center (far apart from each other and from what was asked
    before), disagreement_k_center or entropy_k_center (k_center among the better half), or module:name of your own, as
    `prefrl.queries.SAMPLERS` describes; the first queries are always uniform"""
    segment_steps: int = 25
    """length of a segment, in agent steps"""
    within_episodes: bool = False
    """no segment crosses an episode's end, hidden or not: what ends an episode is then not taken for the start of
    the next, which always follows it. Episodes shorter than a segment are never asked about"""
    items: int = 2
    """segments a query, K"""
    candidates: int = 10
    """candidate queries drawn for each one asked"""
    batch: int = 10
    """queries chosen at once, and comparisons between two updates of the reward"""
    window_segments: int = 500
    """draw candidates from the newest this many segments of the pool"""
    repeat_share: float = 0.0
    """share of queries that repeat an answered one with its segments in another order"""


@dataclass(frozen=True)
class ScheduleConfig:
    """When labels fall due, by the policy's step."""

    kind: Literal["hyperbolic", "constant"] = "hyperbolic"
    """hyperbolic: rate proportional to half_life_steps / (step + half_life_steps)"""
    initial_share: float = 0.25
    """share of the budget asked on the untrained policy's segments, before any training"""
    half_life_steps: int = 2_000_000
    """step at which the hyperbolic rate has fallen to half, in agent steps"""
    level_steps: int = 0
    """hold the hyperbolic rate for this many steps at a time, as the paper does on Atari; 0 lets it fall smoothly"""
    ends_at: float = 0.8
    """share of the run's steps at which the last label falls due"""


@dataclass(frozen=True)
class TeacherConfig:
    """The synthetic oracle: a B-Pref teacher (Lee et al. 2021). The defaults are the perfect one."""

    beta: float = float("inf")
    """rationality: labels are drawn from softmax(beta * returns); infinity is deterministic"""
    gamma: float = 1.0
    """discount towards the past: below 1 the most recent steps weigh most"""
    mistake: float = 0.0
    """probability that an answer is flipped"""
    skip: float = 0.0
    """threshold below which the answer is "can't tell", as a share of the mean return"""
    equal: float = 0.0
    """threshold below which the answer is a tie, as a share of the mean return"""


@dataclass(frozen=True)
class OracleConfig:
    """Who answers."""

    kind: str = "synthetic"
    """synthetic (answers by the true reward), human, mixed (a person whenever one is at the viewer, else the synthetic
    oracle), or module:name of your own, as `prefrl.oracles.ORACLES` describes"""
    teacher: TeacherConfig = field(default_factory=TeacherConfig)

    @property
    def asks_people(self) -> bool:
        """Whether there may be people to show clips to."""
        return self.kind in ("human", "mixed")


@dataclass(frozen=True)
class RuntimeConfig:
    """Processes, limits and checkpoints."""

    launcher: Literal["processes", "serial", "script"] = "processes"
    """script: a training script of your own holds the agent, by `prefrl.PreferenceCallback`"""
    pool_segments: int = 2000
    """unqueried segments kept; the oldest are dropped first"""
    max_label_lag: int | None = None
    """the policy waits while more than this many due labels have not reached its reward; None never waits"""
    checkpoint_steps: int = 10_000
    """agent steps between saved agents"""
    lease_s: float = 120.0
    """seconds after which an unanswered query returns to the others"""
    max_restarts: int = 5
    """restarts of one process before the run is given up"""


@dataclass(frozen=True)
class RunConfig:
    """A whole run."""

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
    """agent steps, over all environments"""
    seed: int = 0
    eval_episodes: int = 20
    """episodes of the ordinary environment that give the true return in the result"""
