"""Settings of `pd-tf train`."""

import dataclasses
import math
from typing import Literal

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.config import precision as precision_config
from pd_tf.config import settings
from pd_tf.config import task as task_config

MaskingKind = Literal["wordpiece", "whole_word", "span"]


@dataclasses.dataclass(frozen=True)
class PhaseConfig:
  """Data of a part of a pre-training run (Devlin et al., 2019, Section A.2)."""

  segments: str | None = settings.setting(
      None, "Directory written by `pd-tf prepare`."
  )
  records: tuple[str, ...] = settings.setting(
      (), "Or pre-masked TFRecords, as in pretraining.records."
  )
  share: float = settings.setting(1.0, "Share of the run's updates.")
  batch_size: int | None = settings.setting(
      None, "Rows of an update; null: batch_size."
  )

  def __post_init__(self):
    if (self.segments is None) == (not self.records):
      raise errors.InputError(
          "phases: expected either segments or records in each, got "
          f"segments {self.segments} and records {list(self.records)}."
      )
    if not 0 < self.share <= 1:
      raise errors.InputError(f"share ({self.share}) must be in (0, 1].")
    if self.batch_size is not None and self.batch_size < 1:
      raise errors.InputError(
          f"batch_size ({self.batch_size}) must be at least 1."
      )


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
  """Masked language modelling over prepared segments (Devlin et al., 2019)."""

  segments: str | None = settings.setting(
      None, "Directory written by `pd-tf prepare`."
  )
  records: tuple[str, ...] = settings.setting(
      (), "Instead: TFRecords, or globs, with masks made beforehand by "
      "google-research/bert's or Model Garden's create_pretraining_data."
  )
  phases: tuple[PhaseConfig, ...] = settings.setting(
      (), "Instead: data one after another, as [{segments: a, share: 0.9}, "
      "{segments: b, share: 0.1, batch_size: 8}]."
  )
  validation: str | None = settings.setting(
      None, "Held-out segments; null: the folder validation of the (first) "
      "segments, if there is one."
  )
  masking: MaskingKind = settings.setting(
      "wordpiece", "wordpiece, whole_word (all pieces of a word) or span (of "
      "words, as SpanBERT); pre-masked records stay as they are."
  )
  mask_rate: float = settings.setting(0.15, "Share of tokens predicted.")
  max_predictions: int | None = settings.setting(
      None, "Predictions of a row at the most; null means 20 per 128 tokens."
  )
  next_sentence: bool = settings.setting(
      True, "Add the next-sentence loss where the segments are pairs."
  )

  def __post_init__(self):
    given = [
        name for name in ("segments", "records", "phases")
        if getattr(self, name)
    ]
    if len(given) > 1:
      raise errors.InputError(
          f"{given[1]}: expected one of segments, records and phases, got "
          f"{' and '.join(given)}."
      )
    total = sum(phase.share for phase in self.phases)
    if self.phases and not math.isclose(total, 1, abs_tol=1e-6):
      raise errors.InputError(
          f"phases: expected shares that add up to 1, got {total:g}."
      )

  @property
  def all_phases(self) -> tuple[PhaseConfig, ...]:
    """The phases; one for the data of the run where it has no phases."""
    if self.segments or self.records:
      return (PhaseConfig(self.segments, self.records),)
    return self.phases


@dataclasses.dataclass(frozen=True)
class DistillationConfig:
  """Soft cross-entropy against a teacher (Turc et al., 2019, Algorithm 1)."""

  transfer_sets: tuple[str, ...] = settings.setting(
      (), "Directories written by `pd-tf label`, taken together."
  )
  transfer_examples: int | None = settings.setting(
      None, "Use only this many transfer examples, drawn with the seed."
  )
  temperature: float = settings.setting(
      1.0, "Divides student and teacher logits; the paper's is 1."
  )
  hard_label_weight: float = settings.setting(
      0.0,
      "Weight w of the labelled loss where labels exist: "
      "(1 - w) x soft + w x hard; the paper's is 0.",
  )

  def __post_init__(self):
    if self.temperature <= 0:
      raise errors.InputError(
          f"temperature ({self.temperature}) must be above 0."
      )
    if not 0 <= self.hard_label_weight <= 1:
      raise errors.InputError(
          f"hard_label_weight ({self.hard_label_weight}) must be in [0, 1]."
      )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """AdamW as BERT uses it (google-research/bert, optimization.py)."""

  name: Literal["adamw", "lamb", "adafactor"] = settings.setting(
      "adamw",
      "adamw; lamb, for batches of thousands; adafactor, without moments.",
  )
  learning_rate: float = settings.setting(1e-4, "Peak learning rate.")
  warmup_steps: int | None = settings.setting(
      None, "Steps of linear warm-up; null means a tenth of the run."
  )
  decay_power: float = settings.setting(
      1.0, "The rate falls as (1 - step / train_steps) to this power."
  )
  layer_decay: float = settings.setting(
      1.0, "adamw: factor of the rate from one layer to the one below."
  )
  weight_decay: float = settings.setting(
      0.01, "Decoupled; not on biases and LayerNorm."
  )
  clip_norm: float = settings.setting(1.0, "Bound on the global norm.")
  beta_1: float = settings.setting(0.9, "Decay of the first moment.")
  beta_2: float = settings.setting(0.999, "Decay of the second moment.")
  epsilon: float = settings.setting(1e-6, "Added to the root of the second.")

  def __post_init__(self):
    if not 0 <= self.learning_rate < math.inf:
      raise errors.InputError(
          f"learning_rate ({self.learning_rate}) must be at least 0 and finite."
      )
    if not 0 < self.layer_decay <= 1:
      raise errors.InputError(
          f"layer_decay ({self.layer_decay}) must be in (0, 1]."
      )
    if self.layer_decay != 1 and self.name != "adamw":
      raise errors.InputError(
          f"layer_decay ({self.layer_decay}) goes with adamw, the optimizer "
          f"was {self.name}."
      )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
  """One run: data, objective and loop."""

  objective: Literal["pretrain", "finetune", "distill"] = settings.setting(
      "pretrain", "pretrain, finetune or distill."
  )
  encoder: encoder_config.EncoderConfig | None = settings.setting(
      None, "Shape of the student; null: that of init_from."
  )
  init_from: str | None = settings.setting(
      None, "Model to start from: a run or any readable format; null: random."
  )
  init_layers: Literal["first", "spread"] | None = settings.setting(
      None, "Of a deeper init_from take the first layers, or spread ones."
  )
  vocab_file: str | None = settings.setting(
      None, "vocab.txt; null: that of init_from or of the segments."
  )
  lower_case: bool = settings.setting(True, "Lower-case, strip accents.")
  pretraining: PretrainingConfig = settings.section(PretrainingConfig)
  task: task_config.TaskConfig = settings.section(task_config.TaskConfig)
  distillation: DistillationConfig = settings.section(DistillationConfig)
  optimizer: OptimizerConfig = settings.section(OptimizerConfig)
  seq_length: int = settings.setting(
      128, "Tokens of a packed row, S, at the most, and so of an example."
  )
  batch_size: int = settings.setting(
      32, "Examples of an update: rows when pretraining, else texts."
  )
  accumulation_steps: int = settings.setting(
      1, "Parts that a replica's rows are worked through in, one by one."
  )
  train_steps: int | None = settings.setting(
      None, "Updates of the run; null: follows from epochs."
  )
  epochs: float | None = settings.setting(
      None, "Passes over the examples; null: follows from train_steps."
  )
  steps_per_loop: int = settings.setting(
      50, "Updates inside one call of the compiled loop, and between logs."
  )
  checkpoint_steps: int = settings.setting(1000, "Updates between checkpoints.")
  evaluate_steps: int | None = settings.setting(
      None, "Updates between evaluations; null means ten in the run."
  )
  precision: precision_config.Precision = settings.setting(
      "float32",
      "float32, mixed_bfloat16 or mixed_float16: of matrix products; weights, "
      "attention's softmax, LayerNorm and losses stay float32.",
  )
  seed: int = settings.setting(0, "Of initial weights, order, masks, dropout.")

  def __post_init__(self):
    if self.train_steps is not None and self.epochs is not None:
      raise errors.InputError(
          f"epochs ({self.epochs}) and train_steps ({self.train_steps}) must "
          "not both be set."
      )
    if self.init_layers is not None and (
        self.init_from is None or self.encoder is None
    ):
      raise errors.InputError(
          f"init_layers ({self.init_layers}) goes with init_from and encoder, "
          "the shape wanted; expected both."
      )
    for name in (
        "batch_size", "steps_per_loop", "checkpoint_steps", "evaluate_steps",
        "accumulation_steps",
    ):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise errors.InputError(
            f"{name} ({getattr(self, name)}) must be at least 1."
        )

  @property
  def compute_dtype(self) -> str:
    """Of matrix products."""
    return precision_config.COMPUTE_DTYPES[self.precision]
