r"""Trains a model: pre-training, fine-tuning or distillation.

Reads: for objective=pretrain the segments of `pd-tf prepare`; for finetune
labelled examples; for distill the transfer set of `pd-tf label`; and the model
of init_from in any readable format.

Writes a run directory: config.yaml, metrics.jsonl, events/ (TensorBoard),
checkpoints/, last/ and, where there is a dev_file, best/ (both in the released
format), and result.json, last. A killed run goes on when it is started again.

  pd-tf train --config=configs/finetune/tiny.yaml --run_dir=runs/bt \
    --set=vocab_file=vocab.txt --set=task.train_file=train.tsv
"""

from collections.abc import Callable
import dataclasses
import functools
import pathlib
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from pd_tf import predict
from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import train as train_config
from pd_tf.config import where as where_config
from pd_tf.data import examples as examples_lib
from pd_tf.data import packing
from pd_tf.data import pretraining as pretraining_data
from pd_tf.data import tasks
from pd_tf.data import transfer
from pd_tf.formats import detect
from pd_tf.formats import release
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.objectives import classification
from pd_tf.objectives import distillation
from pd_tf.objectives import pretraining
from pd_tf.objectives import regression
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece
from pd_tf.training import best
from pd_tf.training import loop
from pd_tf.training import metrics
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import strategy as strategy_lib


@dataclasses.dataclass(frozen=True)
class _Start:
  """What a run starts from.

  Attributes:
    encoder: Shape of the student.
    weights: By canonical name; empty for a random start.
    vocabulary: The student's.
    lower_case: Whether its texts are lower-cased.
    task: What the head among the weights predicts; None without one.
  """

  encoder: encoder_config.EncoderConfig
  weights: dict[str, np.ndarray]
  vocabulary: vocabulary_lib.Vocabulary
  lower_case: bool
  task: pretrained.TaskHead | None = None


@dataclasses.dataclass(frozen=True)
class _Work:
  """What differs between objectives: data and objective.

  Attributes:
    dataset: From the first step wanted to an endless data set.
    objective: From the model to what is minimised.
    steps_per_epoch: Updates of one pass over the data.
    task: What a task head predicts; None for pre-training.
    dev: Examples to evaluate on, or None.
  """

  dataset: Callable[[int], tf.data.Dataset]
  objective: Callable[[bert.Bert], step.Objective]
  steps_per_epoch: float
  task: pretrained.TaskHead | None = None
  dev: examples_lib.Examples | None = None


def run(
    settings: train_config.TrainConfig,
    run_dir: pathlib.Path,
    where: where_config.Where,
) -> dict[str, Any]:
  """Trains to the end, or goes on where a killed run was.

  Args:
    settings: The run.
    run_dir: Made, or this run's own from before.
    where: Strategy and devices.

  Returns:
    What `result.json` holds.

  Raises:
    InputError: A setting or an input is not what it must be.
    RunError: A loss was not finite.
  """
  start = _start(settings)
  work = _OBJECTIVES[settings.objective](settings, start)
  finished = run_dir_lib.claim(run_dir, settings)
  if finished is not None:
    logging.warning("%s is finished; nothing to do.", run_dir)
    return finished
  result = _train(settings, run_dir, where, start, work)
  run_dir_lib.finish(run_dir, result)
  return result


def _train(
    settings: train_config.TrainConfig,
    run_dir: pathlib.Path,
    where: where_config.Where,
    start: _Start,
    work: _Work,
) -> dict[str, Any]:
  plan = loop.plan(settings, work.steps_per_epoch)
  strategy = strategy_lib.create(where)
  with strategy.scope():
    model = _build(settings, start, work.task)
    optimizer = optimizer_lib.create(settings.optimizer, plan.train_steps)
    manager = loop.checkpoints(
        run_dir / "checkpoints", model, optimizer, plan
    )
    if manager.latest_checkpoint:
      manager.checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
  data = work.dataset(int(optimizer.iterations.numpy()))
  trainer = step.Trainer(
      strategy, iter(strategy.experimental_distribute_dataset(data)),
      work.objective(model), model.trainable_variables, optimizer,
      settings.optimizer.clip_norm, settings.seed,
  )
  keeper = _keeper(run_dir, model, start, work)
  seconds = loop.run(
      trainer, manager, optimizer.iterations, plan, run_dir,
      keeper.evaluate if keeper else None,
  )
  _write_model(run_dir / "last", model, start, work.task)
  return {
      "objective": settings.objective,
      "train_steps": plan.train_steps,
      "epochs": plan.train_steps / work.steps_per_epoch,
      "seconds": round(seconds, 1),
      "num_parameters": model.num_parameters,
      **(keeper.result() if keeper else {}),
  }


def _start(settings: train_config.TrainConfig) -> _Start:
  if settings.init_from is None:
    return _random_start(settings)
  source = detect.read(settings.init_from)
  config = source.encoder
  if settings.encoder is not None:
    settings.encoder.require_shape(config, settings.init_from)
    config = settings.encoder
  entries = source.vocabulary
  if settings.vocab_file is not None:
    entries = vocabulary_lib.read(settings.vocab_file).entries
    if source.vocabulary and source.vocabulary != entries:
      raise errors.InputError(
          f"vocab_file: {settings.vocab_file} is another vocabulary than that "
          f"of {settings.init_from}."
      )
  vocabulary = vocabulary_lib.Vocabulary(entries)
  _require_vocabulary(vocabulary, config, settings.init_from)
  return _Start(
      config, source.weights, vocabulary, source.lower_case, source.task
  )


def _random_start(settings: train_config.TrainConfig) -> _Start:
  config = settings.encoder or encoder_config.EncoderConfig()
  vocab_file = settings.vocab_file
  if vocab_file is None and settings.pretraining.segments is not None:
    vocab_file = str(pathlib.Path(settings.pretraining.segments) / "vocab.txt")
  if vocab_file is None:
    raise errors.InputError(
        "vocab_file: expected a vocab.txt, or init_from, got neither."
    )
  vocabulary = vocabulary_lib.read(vocab_file)
  _require_vocabulary(vocabulary, config, "encoder.vocab_size")
  return _Start(config, {}, vocabulary, settings.lower_case)


def _require_vocabulary(
    vocabulary: vocabulary_lib.Vocabulary,
    config: encoder_config.EncoderConfig,
    name: str,
) -> None:
  if len(vocabulary) != config.vocab_size:
    raise errors.InputError(
        f"{name}: the encoder has {config.vocab_size} vocabulary entries, the "
        f"vocab_file {len(vocabulary)}; expected the same number."
    )


def _build(
    settings: train_config.TrainConfig,
    start: _Start,
    task: pretrained.TaskHead | None,
) -> bert.Bert:
  model = bert.build(
      start.encoder,
      pretraining_heads=task is None,
      num_outputs=len(task.label_names) if task else 0,
      compute_dtype=settings.precision,
  )
  model.load_canonical_weights(
      initialization.random_weights(
          model.canonical_weights(), start.encoder.initializer_range,
          settings.seed,
      )
  )
  weights = dict(start.weights)
  if start.task != task:
    # Labels of another task, or in another order, are no start for these.
    weights.pop("output_weights", None)
    weights.pop("output_bias", None)
  if weights:
    random = model.load_canonical_weights(weights)
    logging.info("Random start of: %s.", ", ".join(random) or "nothing")
  return model


def _pretrain(settings: train_config.TrainConfig, start: _Start) -> _Work:
  config = settings.pretraining
  if config.segments is None:
    raise errors.InputError(
        "pretraining.segments: expected a directory of `pd-tf prepare`, got "
        "none."
    )
  segments = pathlib.Path(config.segments)
  manifest = pretraining_data.manifest(segments)
  _require_positions(manifest["seq_length"], start, "pretraining.segments")
  if manifest["vocab_sha256"] != start.vocabulary.sha256:
    raise errors.InputError(
        f"pretraining.segments: {segments} was made with another vocabulary "
        "than the student's."
    )
  with_pairs = config.next_sentence and manifest["next_sentence"]

  def dataset(start_step: int) -> tf.data.Dataset:
    return pretraining_data.dataset(
        segments, settings.batch_size, config.mask_rate,
        config.max_predictions, settings.seed, start_step,
    )

  return _Work(
      dataset,
      lambda model: functools.partial(
          pretraining.outputs, model, with_pairs=with_pairs
      ),
      manifest["num_rows"] / settings.batch_size,
  )


def _finetune(settings: train_config.TrainConfig, start: _Start) -> _Work:
  config = settings.task
  if config.train_file is None:
    raise errors.InputError(
        "task.train_file: expected a file of labelled examples, got none."
    )
  _require_positions(settings.seq_length, start, "seq_length")
  read = tasks.read(config.train_file, config.text_columns, config.label_column)
  task = tasks.head(config, read.labels)
  examples = _examples(settings, start, config.train_file, task).sample(
      config.train_examples, settings.seed, "task.train_examples"
  )
  objective = _OF_KIND[task.kind]
  return _task_work(settings, start, task, examples, objective)


def _distill(settings: train_config.TrainConfig, start: _Start) -> _Work:
  config = settings.distillation
  _require_positions(settings.seq_length, start, "seq_length")
  stored = transfer.read_all(
      config.transfer_sets, "distillation.transfer_sets"
  )
  if stored.vocab_sha256 != start.vocabulary.sha256:
    raise errors.InputError(
        f"distillation.transfer_sets: {config.transfer_sets[0]} was tokenized "
        "with another vocabulary than the student's."
    )
  task = stored.task
  longest = int(stored.examples.lengths.max())
  if longest > settings.seq_length:
    raise errors.InputError(
        f"seq_length ({settings.seq_length}) must be at least the longest "
        f"transfer example's {longest} tokens."
    )
  examples = stored.examples.sample(
      config.transfer_examples, settings.seed, "distillation.transfer_examples"
  )
  objective = functools.partial(
      distillation.outputs,
      kind=task.kind,
      temperature=config.temperature,
      hard_label_weight=config.hard_label_weight,
  )
  return _task_work(settings, start, task, examples, objective)


def _task_work(
    settings: train_config.TrainConfig,
    start: _Start,
    task: pretrained.TaskHead,
    examples: examples_lib.Examples,
    objective: Callable[..., step.Outputs],
) -> _Work:
  shape = packing.shape_for(examples, settings.batch_size, settings.seq_length)
  rows = packing.rows_per_epoch(examples, shape, settings.seed)
  dev_file = settings.task.dev_file

  return _Work(
      lambda start_step: packing.dataset(
          examples, shape, settings.seed, start_step
      ),
      lambda model: functools.partial(objective, model),
      rows / shape.rows,
      task,
      None if dev_file is None
      else _examples(settings, start, dev_file, task),
  )


def _examples(
    settings: train_config.TrainConfig,
    start: _Start,
    path: str,
    task: pretrained.TaskHead,
) -> examples_lib.Examples:
  return tasks.examples(
      settings.task, path, task, _word_piece(start), settings.seq_length
  )


def _word_piece(start: _Start) -> wordpiece.WordPiece:
  return wordpiece.WordPiece(start.vocabulary, start.lower_case)


def _require_positions(seq_length: int, start: _Start, name: str) -> None:
  if seq_length > start.encoder.max_positions:
    raise errors.InputError(
        f"{name}: rows of {seq_length} tokens are longer than the position "
        f"table's {start.encoder.max_positions}."
    )


def _write_model(
    path: pathlib.Path,
    model: bert.Bert,
    start: _Start,
    task: pretrained.TaskHead | None,
) -> None:
  release.write(
      path,
      pretrained.Pretrained(
          start.encoder, model.canonical_weights(), start.vocabulary.entries,
          start.lower_case, task,
      ),
      overwrite=True,
  )


def _keeper(
    run_dir: pathlib.Path, model: bert.Bert, start: _Start, work: _Work
) -> best.Keeper | None:
  dev, task = work.dev, work.task
  if dev is None or task is None:
    return None
  predictor = predict.Predictor(model)
  return best.Keeper(
      run_dir / "best",
      lambda: metrics.scores(task, predictor.logits(dev), dev.labels),
      lambda path: _write_model(path, model, start, task),
  )


_OF_KIND: dict[str, Callable[..., step.Outputs]] = {
    "classification": classification.outputs,
    "regression": regression.outputs,
}
_OBJECTIVES: dict[
    str, Callable[[train_config.TrainConfig, _Start], _Work]
] = {"pretrain": _pretrain, "finetune": _finetune, "distill": _distill}
