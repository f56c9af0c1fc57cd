"""What a pre-training step costs: arithmetic, bytes, and time on a device.

Counted are matrix products, two operations for a multiplication and its sum,
and what has to go through memory if every chain of elementwise operations is
one kernel. Times are those of a device that does both at the stated rates, one
after the other; docs/scaling.md holds them against measured ones.
"""

import dataclasses

from pd_tf.config import encoder as encoder_config

# Each product of the forward pass has two in the backward pass: the gradients
# of its two factors.
TRAINING_PRODUCTS = 3
FLOAT32_BYTES = 4
# A number that the backward pass needs is written, read by the next kernel,
# read again on the way back, and its gradient is written and read.
ACTIVATION_PASSES = 5
# AdamW reads gradient, weight and two moments and writes the last three,
# clipping on the way; before that the norm reads the gradient.
UPDATE_PASSES = 7 + 1
# The masked-LM head takes the table in 16 bits and gives its gradient in them:
# two copies, of one and a half passes each. Fine-tuning, which has no such
# head, updates few rows (training/arrears.py), and is not counted here.
WORD_TABLE_PASSES = 3
# Weights, their gradients and two moments.
NUMBERS_PER_PARAMETER = 4


@dataclasses.dataclass(frozen=True)
class Row:
  """What a row of a batch holds.

  Attributes:
    seq_length: S.
    predictions: Masked positions, P.
    segments: Examples whose first token is pooled, E.
    number_bytes: Of a number between two products: 4 in float32, 2 in mixed
      precision.
  """

  seq_length: int = 128
  predictions: int = 20
  segments: int = 1
  number_bytes: int = 2


@dataclasses.dataclass(frozen=True)
class Flops:
  """Operations of the products of one row's forward pass.

  Attributes:
    layers: Of the weights of the layers.
    attention: Of queries with keys, and of the weights with values.
    masked_lm: Of the masked-LM head.
    pooler: Of the pooler and the next-sentence head.
  """

  layers: int
  attention: int
  masked_lm: int
  pooler: int

  @property
  def total(self) -> int:
    """Operations of the forward pass."""
    return self.layers + self.attention + self.masked_lm + self.pooler

  @property
  def training(self) -> int:
    """Operations of the forward and the backward pass."""
    return TRAINING_PRODUCTS * self.total


@dataclasses.dataclass(frozen=True)
class Device:
  """What a device does in a second, of its own kind of work.

  Attributes:
    flops: Operations of matrix products.
    memory: Bytes between it and its memory.
    link: Bytes that it sends to other devices while it receives as many.
  """

  flops: float
  memory: float
  link: float

  def used(self, products: float, memory: float, link: float) -> "Device":
    """Returns the device at shares of its peak rates."""
    return Device(
        self.flops * products, self.memory * memory, self.link * link
    )


@dataclasses.dataclass(frozen=True)
class Seconds:
  """Where the time of a step goes.

  Attributes:
    products: Matrix products.
    activations: What lies between them.
    update: Norm, clipping and AdamW, once a step.
    all_reduce: The sum of gradients over replicas, once a step.
  """

  products: float
  activations: float
  update: float
  all_reduce: float

  @property
  def total(self) -> float:
    """Seconds of the step, nothing at the same time as anything else."""
    return self.per_rows + self.update + self.all_reduce

  @property
  def per_rows(self) -> float:
    """Seconds of what grows with the number of rows."""
    return self.products + self.activations


def forward_flops(
    config: encoder_config.EncoderConfig, row: Row
) -> Flops:
  """Returns the operations of one row's forward pass."""
  width, length = config.hidden_size, row.seq_length
  # Query, key, value, the output of attention, and the two of feed-forward.
  weights = 4 * width**2 + 2 * width * config.feed_forward_size
  return Flops(
      layers=config.num_layers * 2 * length * weights,
      attention=config.num_layers * 2 * 2 * length**2 * width,
      masked_lm=row.predictions * 2 * (width**2 + width * config.vocab_size),
      pooler=row.segments * 2 * (width**2 + 2 * width),
  )


def word_table_parameters(config: encoder_config.EncoderConfig) -> int:
  """Returns the numbers of the word table, which is the decoder too."""
  return config.vocab_size * config.hidden_size


def num_parameters(config: encoder_config.EncoderConfig) -> int:
  """Returns the numbers that pre-training trains, both heads included."""
  width, inner = config.hidden_size, config.feed_forward_size
  norm = 2 * width
  tables = config.max_positions + config.type_vocab_size
  layer = (
      4 * (width**2 + width) + norm
      + width * inner + inner + inner * width + width + norm
  )
  masked_lm = width**2 + width + norm + config.vocab_size
  pooler = width**2 + width + 2 * width + 2
  return (
      word_table_parameters(config) + tables * width + norm
      + config.num_layers * layer + masked_lm + pooler
  )


def state_bytes(config: encoder_config.EncoderConfig) -> int:
  """Returns the bytes of weights, gradients and moments, all Float32."""
  return NUMBERS_PER_PARAMETER * FLOAT32_BYTES * num_parameters(config)


def kept_bytes(config: encoder_config.EncoderConfig, row: Row) -> int:
  """Returns the bytes that one row leaves in memory for the backward pass."""
  width, length = config.hidden_size, row.seq_length
  # Query, key, value; context, its product, its LayerNorm; the two of the
  # activation; their product and its LayerNorm.
  kept = (3 + 3 + 2) * width + 2 * config.feed_forward_size
  # Scores and weights of each head.
  attention = 2 * config.num_heads * length
  embedded = 2 * width
  numbers = length * (config.num_layers * (kept + attention) + embedded)
  numbers += row.predictions * (3 * width + config.vocab_size)
  return row.number_bytes * numbers


def activation_bytes(config: encoder_config.EncoderConfig, row: Row) -> int:
  """Returns the bytes that one row moves between products, both ways."""
  return ACTIVATION_PASSES * kept_bytes(config, row)


def embedding_update_bytes(config: encoder_config.EncoderConfig) -> int:
  """Returns the bytes that a step moves for the word table alone."""
  passes = UPDATE_PASSES + WORD_TABLE_PASSES
  return FLOAT32_BYTES * passes * word_table_parameters(config)


def update_bytes(config: encoder_config.EncoderConfig) -> int:
  """Returns the bytes that a step moves for all weights."""
  others = num_parameters(config) - word_table_parameters(config)
  return embedding_update_bytes(config) + (
      FLOAT32_BYTES * UPDATE_PASSES * others
  )


def all_reduce_bytes(
    config: encoder_config.EncoderConfig, replicas: int
) -> float:
  """Returns the bytes that a replica sends, and receives, in a step.

  A ring hands on 2 (n - 1) / n of the Float32 gradient (Patarasuk and Yuan,
  2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations").

  Args:
    config: Shape of the encoder.
    replicas: n.
  """
  gradient = FLOAT32_BYTES * num_parameters(config)
  return 2 * (replicas - 1) / replicas * gradient


def step_seconds(
    config: encoder_config.EncoderConfig,
    row: Row,
    device: Device,
    rows: int,
    replicas: int = 1,
) -> Seconds:
  """Returns where the time of a step goes.

  Args:
    config: Shape of the encoder.
    row: What each row holds.
    device: One replica's, at the rates that it reaches.
    rows: Of each replica.
    replicas: All alike.
  """
  return Seconds(
      products=rows * forward_flops(config, row).training / device.flops,
      activations=rows * activation_bytes(config, row) / device.memory,
      update=update_bytes(config) / device.memory,
      all_reduce=all_reduce_bytes(config, replicas) / device.link,
  )


def rows_to_balance(seconds: Seconds, rows: int, once: float) -> float:
  """Returns the rows of a replica at which `once` takes half of the time.

  Args:
    seconds: Of a step.
    rows: Of each replica in that step.
    once: Seconds of a part that does not grow with the rows.
  """
  return once / (seconds.per_rows / rows)
