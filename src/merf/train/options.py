"""Everything a run can be told from the command line or a TOML file. No torch here: `--help` should be quick."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tyro.conf import arg

from merf.core.recipe import AdamW
from merf.framing.motivation import Exposure, Position, Variant
from merf.rules.wording import Style


@dataclass(frozen=True)
class MotivationOptions:
    """What the model is told about how it is scored, and when."""

    variant: Variant = "truth"
    """truth: the rules as they are (MeRF); none: plain RLVR; suboptimal: correctness only; adverse: signs
    flipped; shuffled: the truth's words in random order; neutral: other text of the same length."""
    exposure: Exposure = "half"
    """Who is told: always everybody; half of every group; a share that falls linearly, or along a sigmoid
    around the middle of training, from everybody to nobody."""
    position: Position = "system"
    """Where the text goes: the system turn, or before or after the problem."""
    style: Style = "full"
    wording: int = 0
    """Which paraphrase of the description."""
    learning: Literal["acting", "bare"] = "acting"
    """Which prompt the gradient sees: the one acted on, or always the one without the text."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Held-out problems, always asked both with and without the motivation."""

    every: int = 20
    """Steps between evaluations."""
    problems: int = 100
    """Problems of the first and the last evaluation."""
    samples: int = 8
    """Responses per problem there (pass@k is reported up to this k)."""
    quick_problems: int = 50
    """Problems of the evaluations in between."""
    quick_samples: int = 2


@dataclass(frozen=True)
class ObjectiveOptions:
    """The policy gradient: GRPO's by default, with a token-level mean."""

    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregate: Literal["token", "sequence", "constant"] = "token"
    """How token losses are averaged: over tokens (DAPO), over responses (GRPO), or by a constant (Dr. GRPO)."""
    scale: Literal["group", "batch", "none"] = "group"
    """What centred rewards are divided by: the group's standard deviation (GRPO), the batch's, or nothing."""
    kl: float = 0.0
    """Weight of the KL penalty to the starting model (k3 estimator); MeRF's paper uses 0.001."""


@dataclass(frozen=True)
class ServerOptions:
    """Sample from a server instead of this process: vLLM, SGLang, or `transformers serve`."""

    url: str = ""
    """Address up to and including /v1; empty samples here."""
    model: str = "default"
    """The name the server serves the model under."""
    speaks: Literal["tokens", "text"] = "tokens"
    """Whether the server takes and returns token ids, or only text."""


@dataclass(frozen=True)
class TrainOptions:
    """One training run."""

    model: str = "lab:knights"
    """A local folder, a hub id, or a lab base as lab:NAME."""
    task: str | None = None
    """What to train on; `merf tasks` lists the names. Default: knights-knaves, or whatever --data holds."""
    data: str | None = None
    """Your own problems: a .jsonl, .csv or .parquet file, a dataset's folder, or a hub id. With --task, its
    answers are judged as that task's are."""
    task_options: dict[str, Any] = field(default_factory=dict)
    """Options of the task by name, difficulty dials above all, as in `merf tasks show`."""
    people: tuple[int, int] = (2, 3)
    """Knights & Knaves: fewest and most people in a training puzzle."""
    rulebook: str | None = None
    """What earns reward: a rulebook's TOML file, or package.module:name. Default: +2 / -1.5 / -2 for a right, wrong
    or unreadable answer, and +1 / -1 for the layout."""
    methods: Annotated[tuple[str, ...], arg(aliases=("--method",), metavar="NAME[:PARAMETER=VALUE],...")] = ()
    """Published methods to apply, as `merf methods` lists them. Those that answer different questions combine."""
    motivation: MotivationOptions = field(default_factory=MotivationOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    optimizer: AdamW = field(default_factory=lambda: AdamW(lr=3e-4, warmup=5))
    steps: int = 60
    problems: int = 16
    """Problems per step."""
    group_size: int = 8
    """Responses per problem."""
    max_tokens: int = 160
    """Length limit of a response, in tokens."""
    temperature: float = 1.0
    truncated: Literal["unreadable", "masked", "as-is"] = "unreadable"
    """Responses cut off at the limit: scored as having no answer; also left out of the gradient; or read as is."""
    lora_rank: int = 0
    """Train low-rank adapters of this rank instead of all weights; 0 trains everything."""
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    """CPU threads of this process."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the passes through the model; weights and optimiser stay in float32. auto: bfloat16 on a GPU."""
    tokens_per_batch: int = 8_192
    """Tokens that go through the model at a time in an update. Changes speed and memory, never the result."""
    shard: bool = False
    """Under torchrun: spread weights, gradients and optimiser state over the processes (FSDP2). Each still holds a
    whole copy of the weights while it samples and scores."""
    static_decoding: bool = False
    """Sample over buffers of fixed size; on a GPU the steps become CUDA graphs (which has not been tried on one)."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: slower, much less memory."""
    trust_remote_code: bool = False
    """Run code that comes with the model. Off unless you trust its author."""


def task_name(options: TrainOptions) -> str:
    """The task these options ask for, as the tasks' registry calls it."""
    return options.task or (f"data:{options.data}" if options.data else "knights-knaves")


def to_dict(options: Any) -> dict[str, Any]:
    """Nested options as plain values, for TOML; None and empty tables are left out."""
    out: dict[str, Any] = {}
    for f in dataclasses.fields(options):
        value = getattr(options, f.name)
        if dataclasses.is_dataclass(value):
            out[f.name] = to_dict(value)
        elif value is not None and value != {}:
            out[f.name] = list(value) if isinstance(value, tuple) else value
    return out


def from_dict(values: Mapping[str, Any]) -> TrainOptions:
    """The inverse of `to_dict`. Unknown names are refused with the nearest valid one, values of another kind
    with what was expected."""
    options: TrainOptions = fitting(TrainOptions, values, "")
    return options


PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
}


def fitting(kind: Any, value: Any, path: str) -> Any:
    """The value as an option of type `kind`; ValueError where it isn't one."""

    def expected(what: str) -> ValueError:
        return ValueError(f"{path} = {value!r}: expected {what}")

    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise expected("a table")
        types, inside = get_type_hints(kind), path and f"{path}."
        for name in value:
            if name not in types:
                near = difflib.get_close_matches(name, types, 1)
                hint = f"; did you mean {inside}{near[0]}?" if near else f"; known: {', '.join(types)}"
                raise ValueError(f"unknown option {inside}{name}{hint}")
        return kind(**{name: fitting(types[name], given, f"{inside}{name}") for name, given in value.items()})  # type: ignore[operator]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value not in inner:
            raise expected(f"one of {', '.join(inner)}")
    elif origin is UnionType:
        return None if value is None else fitting(inner[0], value, path)
    elif origin is tuple:
        if not isinstance(value, list | tuple):
            raise expected("a list")
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(value)
        if len(value) != len(inner):
            raise expected(f"a list of {len(inner)}")
        return tuple(fitting(one, given, path) for one, given in zip(inner, value, strict=True))
    elif origin is dict:
        if not isinstance(value, Mapping):
            raise expected("a table")
        return dict(value)
    else:
        known, what = PLAIN[kind]
        if not isinstance(value, known) or (isinstance(value, bool) and kind is not bool):
            raise expected(what)
    return value
