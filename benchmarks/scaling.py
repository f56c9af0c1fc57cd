"""Prints the tables of docs/scaling.md that are arithmetic.

  python benchmarks/scaling.py

From the shapes of the miniatures (pd_tf/modeling/cost.py), the public rates of
devices below, and what was measured here of text and input pipeline, which
flags replace with numbers of one's own. Nothing here has run on such a device.
"""

from collections.abc import Callable
from collections.abc import Iterable

from absl import app
from absl import flags

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import cost
from pd_tf.modeling import miniatures

PRODUCTS = flags.DEFINE_float("products", 0.45, "Share of the peak FLOP/s.")
MEMORY = flags.DEFINE_float("memory", 0.7, "Share of the memory's bandwidth.")
LINK = flags.DEFINE_float("link", 0.7, "Share of the interconnect's.")
ROWS = flags.DEFINE_integer("rows", 256, "Rows of 128 tokens of a replica.")
REPLICAS = flags.DEFINE_integer("replicas", 8, "Of the all-reduce.")
WORDS = flags.DEFINE_float("words", 3.3e9, "Of the corpus.")
EPOCHS = flags.DEFINE_integer("epochs", 40, "Passes over it.")
POSITIONS_PER_WORD = flags.DEFINE_float(
    "positions_per_word", 1.55, "Of rows that `pd-tf prepare` makes."
)
NETWORK = flags.DEFINE_float(
    "network", 12.5e9, "Bytes/s out of a host of GPUs, to other hosts."
)
HOSTS = flags.DEFINE_integer("hosts", 4, "Of the all-reduce between hosts.")
INPUT_TOKENS = flags.DEFINE_float(
    "input_tokens", 5.5e6, "Tokens/s of the input pipeline on a core."
)

MEGA, GIGA, TERA = 1e6, 1e9, 1e12
SECONDS_PER_HOUR = 3600

# Peak FLOP/s of products in bfloat16 (V100: float16), without sparsity; bytes/s
# of memory; bytes/s to other devices in one direction. Sources are named in
# docs/scaling.md. Of TPUs the all-reduce bandwidth of a pod through its chips
# (v5p: half of its bidirectional one), of GPUs half of NVLink's.
DEVICES = {
    "TPU v3": cost.Device(123 * TERA, 900 * GIGA, 340 * TERA / 1024),
    "TPU v4": cost.Device(275 * TERA, 1200 * GIGA, 1100 * TERA / 4096),
    "TPU v5e": cost.Device(197 * TERA, 819 * GIGA, 51.2 * TERA / 256),
    "TPU v5p": cost.Device(459 * TERA, 2765 * GIGA, 600 * GIGA),
    "V100": cost.Device(125 * TERA, 900 * GIGA, 150 * GIGA),
    "A100": cost.Device(312 * TERA, 2039 * GIGA, 300 * GIGA),
    "H100": cost.Device(989 * TERA, 3350 * GIGA, 450 * GIGA),
}
ROW = cost.Row()
# Of whose limits the table would say no more with the others.
LIMITED = ("TPU v4", "TPU v5e", "A100", "H100")
# Pre-training of BERT-Large with TensorFlow 2 in mixed precision: device,
# tokens of a row, predictions, rows of a device, rows/s of one device (NVIDIA's
# DeepLearningExamples, TensorFlow2/LanguageModeling/BERT/README.md; the V100's
# is a sixteenth of a DGX-2H's).
PUBLISHED = (
    ("V100", 128, 20, 60, 3528.51 / 16),
    ("V100", 512, 80, 10, 678.35 / 16),
    ("A100", 128, 20, 312, 485.59),
    ("A100", 512, 80, 40, 96.52),
)

Config = encoder_config.EncoderConfig


def used(device: cost.Device) -> cost.Device:
  """Returns the device at the shares that flags state."""
  return device.used(PRODUCTS.value, MEMORY.value, LINK.value)


def seconds(config: Config, device: cost.Device, replicas: int) -> cost.Seconds:
  """Returns where the time of a step goes."""
  return cost.step_seconds(config, ROW, used(device), ROWS.value, replicas)


def tokens_per_second(config: Config, device: cost.Device) -> float:
  """Returns what one device alone trains on in a second."""
  return ROWS.value * ROW.seq_length / seconds(config, device, 1).total


def size(config: Config) -> str:
  """Returns L/H."""
  return f"{config.num_layers}/{config.hidden_size}"


def memory(config: Config) -> int:
  """Returns the bytes of a replica's step."""
  return cost.state_bytes(config) + ROWS.value * cost.kept_bytes(config, ROW)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
  """Prints a Markdown table; all columns but the first are numbers."""
  names = list(head)
  lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
  for line in lines:
    print("| " + " | ".join(line) + " |")
  print()


def work() -> None:
  """Prints FLOPs and bytes of every size."""
  print("### Work\n")
  rows = []
  for config in miniatures.configs():
    flops = cost.forward_flops(config, ROW)
    rows.append([
        size(config),
        f"{cost.num_parameters(config) / MEGA:.1f}",
        f"{flops.training / ROW.seq_length / MEGA:.1f}",
        f"{100 * flops.attention / flops.total:.0f}",
        f"{100 * flops.masked_lm / flops.total:.0f}",
        f"{cost.activation_bytes(config, ROW) / ROW.seq_length / 1e3:.0f}",
        f"{cost.state_bytes(config) / MEGA:.0f}",
        f"{memory(config) / GIGA:.1f}",
        f"{cost.update_bytes(config) / MEGA:.0f}",
        f"{cost.embedding_update_bytes(config) / MEGA:.0f}",
        f"{cost.all_reduce_bytes(config, REPLICAS.value) / MEGA:.0f}",
    ])
  table([
      "L/H", "parameters, M", "MFLOP a token", "attention, %", "masked LM, %",
      "activations, KB a token", "state, MB", "memory, GB",
      "update, MB a step", "of it word table", "all-reduce, MB a step",
  ], rows)


def per_device(
    title: str, cell: Callable[[Config, cost.Device], str]
) -> None:
  """Prints a table of all sizes by all devices."""
  print(f"### {title}\n")
  table(["L/H", *DEVICES], [
      [size(config), *(cell(config, device) for device in DEVICES.values())]
      for config in miniatures.configs()
  ])


def hours(config: Config, device: cost.Device) -> str:
  """Returns the device hours of pre-training."""
  positions = WORDS.value * POSITIONS_PER_WORD.value * EPOCHS.value
  each = positions / tokens_per_second(config, device)
  return f"{each / SECONDS_PER_HOUR:.0f}"


def limits() -> None:
  """Prints when something else than the rows takes half of a step."""
  print("### Limits\n")
  rows = []
  for name, (layers, width) in miniatures.NAMED.items():
    config = Config(num_layers=layers, hidden_size=width)
    for device_name in LIMITED:
      device = DEVICES[device_name]
      spent = seconds(config, device, REPLICAS.value)
      between_hosts = cost.all_reduce_bytes(config, HOSTS.value) / (
          NETWORK.value * LINK.value
      )
      shares = (
          spent.products, spent.activations, spent.update, spent.all_reduce
      )
      once = (
          spent.update,
          cost.embedding_update_bytes(config) / used(device).memory,
          spent.all_reduce,
      )
      cores = tokens_per_second(config, device) / INPUT_TOKENS.value
      rows.append([
          f"{name}, {device_name}",
          *(f"{100 * share / spent.total:.0f}" for share in shares),
          *(
              f"{cost.rows_to_balance(spent, ROWS.value, part):.0f}"
              for part in once
          ),
          # The links of a TPU slice go from host to host.
          "" if device_name.startswith("TPU") else
          f"{cost.rows_to_balance(spent, ROWS.value, between_hosts):.0f}",
          f"{cores:.2f}",
      ])
  table([
      "", "products, %", "activations, %", "update, %", "all-reduce, %",
      "rows: update", "rows: word table", "rows: all-reduce",
      "rows: between hosts", "input cores",
  ], rows)


def published() -> None:
  """Prints what was published of BERT-Large beside what is predicted."""
  print("### Published\n")
  config = Config(num_layers=24, hidden_size=1024)
  rows = []
  for device_name, length, predictions, batch, measured in PUBLISHED:
    row = cost.Row(length, predictions)
    # Updates are rare there: gradients of many batches are summed before.
    each = cost.step_seconds(
        config, row, used(DEVICES[device_name]), batch
    ).per_rows / batch
    rows.append([
        f"{device_name}, {length} tokens", f"{measured:.0f}", f"{1 / each:.0f}",
        f"{measured * each:.2f}",
    ])
  table(["", "published, rows/s", "predicted, rows/s", "ratio"], rows)


def main(arguments: list[str]) -> None:
  """Prints the tables."""
  del arguments
  work()
  per_device(
      "Million tokens a second",
      lambda config, device:
          f"{tokens_per_second(config, device) / MEGA:.3g}",
  )
  limits()
  per_device("Device hours", hours)
  published()


if __name__ == "__main__":
  app.run(main)
