r"""Trains a model: pre-training, fine-tuning or distillation.

Reads: for objective=pretrain the segments of `pd-tf prepare`; for finetune
labelled examples; for distill the transfer set of `pd-tf label`; and the model
of init_from in any readable format.

Writes a run directory: config.yaml, metrics.jsonl, events/ (TensorBoard),
checkpoints/, last/ and, where there are dev examples, best/ (both in the
released format), held_out.jsonl if they were held out of task.train_file, and
result.json, last. A killed run goes on when it is started again.
SIGTERM has it write a checkpoint and exit with code 75, Ctrl-C with 130.

On a CPU TensorFlow splits each operation over all cores, but for fine-tuning or
distillation in updates of few tokens of a small model: then operations run
whole, and two halves of a batch side by side. TF_NUM_INTRAOP_THREADS in the
environment has precedence.

  pd-tf train --config=configs/finetune/tiny.yaml --run_dir=runs/bt \
    --set=vocab_file=vocab.txt --set=task.train_file=train.tsv
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
import operator
import pathlib
import tempfile
from typing import Any
import zlib

from absl import logging
import tensorflow as tf

from pd_tf import predictor as predictor_lib
from pd_tf import update_size
from pd_tf import work as work_lib
from pd_tf.config import errors
from pd_tf.config import goals
from pd_tf.config import pretrained
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.config import train as train_config
from pd_tf.config import where as where_config
from pd_tf.formats import release
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.training import best
from pd_tf.training import checkpoints
from pd_tf.training import feed
from pd_tf.training import loop
from pd_tf.training import loss_scale as loss_scale_lib
from pd_tf.training import metrics
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import phases
from pd_tf.training import step
from pd_tf.training import strategy as strategy_lib
from pd_tf.training import threads
from pd_tf.training import update as update_lib

# A run may be made longer, or shorter than planned; all else is its identity.
FREE_SETTINGS = ("train_steps", "epochs")


def begin(
    settings: train_config.TrainConfig, where: where_config.Where
) -> None:
  """Chooses TensorFlow's threads, in a process that is for one run alone.

  Before `run`, as they are fixed when TensorFlow starts.

  Args:
    settings: The run.
    where: Strategy and devices.
  """
  # What XLA gains from threads is not measured.
  if not strategy_lib.is_one_cpu(where) or where.jit_compile:
    return
  size = update_size.of_run(settings)
  if size is not None:
    threads.run_whole(size.tokens, size.width)


def run(
    settings: train_config.TrainConfig,
    run_dir: pathlib.Path,
    where: where_config.Where,
) -> dict[str, Any]:
  """Trains to the end, or goes on where a killed run was.

  Args:
    settings: The run.
    run_dir: Made, or this run's own from before; all workers share it.
    where: Strategy and devices.

  Returns:
    What `result.json` holds.

  Raises:
    InputError: A setting or an input is not what it must be.
    RunError: A loss was not finite, or a checkpoint cannot be written.
    StoppedError: A signal asked to end, and a checkpoint was written.
    WorkerLostError: Another worker does not answer.
  """
  if where.data_service is not None and settings.objective != "pretrain":
    raise errors.InputError(
        f"data_service ({where.data_service}) goes with objective=pretrain, "
        f"the objective was {settings.objective}: labelled texts are packed "
        "by Python, which cannot be sent to another host."
    )
  # First, as workers must find each other before TensorFlow does anything.
  strategy = strategy_lib.create(where)
  start = work_lib.start(settings)
  work = work_lib.work(settings, start)
  finished = _claim(run_dir, settings, where)
  if finished is not None:
    logging.warning("%s is finished; nothing to do.", run_dir)
    return finished
  if work.held_out is not None and where.is_chief:
    work.held_out(run_dir / run_dir_lib.HELD_OUT_FILE)
  with (
      _place(run_dir, where) as place,
      strategy_lib.others_answering(strategy),
  ):
    result = _Run(settings, run_dir, place, where, strategy, start, work).run()
  if where.is_chief:
    run_dir_lib.finish(run_dir, result)
  return result


def _claim(
    run_dir: pathlib.Path,
    settings: train_config.TrainConfig,
    where: where_config.Where,
) -> dict[str, Any] | None:
  if where.is_chief:
    return run_dir_lib.claim(run_dir, settings, FREE_SETTINGS)
  return run_dir_lib.look(run_dir, settings, FREE_SETTINGS)


@contextlib.contextmanager
def _place(
    run_dir: pathlib.Path, where: where_config.Where
) -> Iterator[pathlib.Path]:
  """Yields where this worker writes: the run's own place, if it is the chief.

  The others do what the chief does, as none may wait for another, and what
  they write is dropped.
  """
  if where.is_chief:
    yield run_dir
    return
  with tempfile.TemporaryDirectory(prefix="pd_tf_worker_") as directory:
    yield pathlib.Path(directory)


@dataclasses.dataclass(frozen=True)
class _Run:
  """All that a run consists of."""

  settings: train_config.TrainConfig
  run_dir: pathlib.Path
  place: pathlib.Path
  where: where_config.Where
  strategy: tf.distribute.Strategy
  start: work_lib.Start
  work: work_lib.Work

  def run(self) -> dict[str, Any]:
    """Trains to the end and writes the model; returns the result."""
    settings, work = self.settings, self.work
    self._require_agreement()
    plan = loop.plan(settings, work.phases)
    with self.strategy.scope():
      model = _build(settings, self.start, work.task, _parts(self.where))
      scale = (
          loss_scale_lib.LossScale()
          if settings.precision == "mixed_float16" else None
      )
      optimizer = optimizer_lib.create(
          settings.optimizer, plan.train_steps, self.start.encoder.num_layers,
          scale and scale.applied,
      )
      manager = self._checkpoints(model, optimizer, scale, plan)
      manager.restore_latest()
    self._require_length(int(optimizer.iterations.numpy()), plan)
    keeper = self._keeper(model)
    with contextlib.closing(manager):
      with work_lib.damage_named(work):
        seconds = loop.run(
            self._trainer(model, optimizer, scale, plan), manager,
            optimizer.iterations, plan,
            loop.Records(
                self.place, settings_lib.to_mapping(settings),
                self.where.profile_window,
            ),
            keeper.evaluate if keeper else None,
        )  # fmt: skip
    _write_model(self.place / "last", model, self.start, work.task)
    return {
        "objective": settings.objective,
        "train_steps": plan.train_steps,
        **work_lib.epochs(work, plan.edges),
        "seconds": round(seconds, 1),
        "num_parameters": model.num_parameters,
        **(keeper.result() if keeper else {}),
    }

  def _checkpoints(
      self,
      model: bert.Bert,
      optimizer: optimizer_lib.Optimizer,
      scale: loss_scale_lib.LossScale | None,
      plan: loop.Plan,
  ) -> checkpoints.Checkpoints:
    saved: dict[str, Any] = {"model": model, "optimizer": optimizer}
    if scale is not None:
      saved["loss_scale"] = scale
    return checkpoints.Checkpoints(
        self.run_dir / "checkpoints", tf.train.Checkpoint(**saved),
        optimizer.iterations, plan.checkpoint_steps, self.where.is_chief,
    )

  def _require_agreement(self) -> None:
    """Raises InputError if workers were not started for the same run."""
    text = settings_lib.to_yaml(self.settings)
    strategy_lib.require_same(
        self.strategy,
        {
            "settings": zlib.crc32(text.encode("utf-8")),
            "checkpoint": checkpoints.latest_step(
                self.run_dir / "checkpoints"
            ),
        },
        self.where.worker_timeout,
    )

  def _require_length(self, step_now: int, plan: loop.Plan) -> None:
    if step_now > plan.train_steps:
      raise errors.InputError(
          f"train_steps ({plan.train_steps}) must be at least {step_now}, the "
          f"updates that {self.run_dir} has made."
      )
    if self.where.is_chief:
      run_dir_lib.go_on(self.run_dir, self.settings)

  def _trainer(
      self,
      model: bert.Bert,
      optimizer: optimizer_lib.Optimizer,
      scale: loss_scale_lib.LossScale | None,
      plan: loop.Plan,
  ) -> phases.PhasedTrainer:
    settings = self.settings
    several = self.where.strategy == where_config.MULTI_WORKER

    def of_phase(
        phase: phases.Phase, first_step: int, stop: tf.Variable
    ) -> step.Trainer:
      update = update_lib.Update(
          phase.objective(model), model.trainable_variables, optimizer,
          settings.optimizer.clip_norm, settings.seed,
          settings.accumulation_steps, self.where.jit_compile, scale,
          self.where.worker_timeout if several else None, model.looked_up,
      )
      step_now = int(optimizer.iterations.numpy())
      batches = feed.distributed(
          self.strategy,
          functools.partial(phase.dataset, step_now, first_step),
          settings.accumulation_steps, self.where.data_service,
      )
      return step.Trainer(
          self.strategy, batches, update, model.trainable_variables, optimizer,
          phase.data, stop,
      )  # fmt: skip

    return phases.PhasedTrainer(
        self.work.phases, plan.edges, optimizer.iterations, of_phase
    )

  def _keeper(self, model: bert.Bert) -> best.Keeper | None:
    dev, task, validation = self.work.dev, self.work.task, self.work.validation
    if validation is not None:
      return best.Keeper(
          self.place / "best",
          validation.scores(model),
          lambda path: _write_model(path, model, self.start, None),
          # The first is the loss.
          operator.lt,
      )
    if dev is None or task is None:
      return None
    # Elsewhere a batch takes the whole device, or is of all replicas.
    predictor = (
        predictor_lib.over_cores(model)
        if strategy_lib.is_one_cpu(self.where)
        else predictor_lib.Predictor(model)
    )
    first = self.settings.task.resolved().metrics
    deciding = metrics.ordered(task.kind, first)[0]
    return best.Keeper(
        self.place / "best",
        lambda: metrics.scores(task, predictor.logits(dev), dev.labels, first),
        lambda path: _write_model(path, model, self.start, task),
        operator.lt if goals.is_lower_better(deciding) else operator.gt,
    )


def _parts(where: where_config.Where) -> int:
  """Returns into how many parts a batch is split, to run side by side."""
  if not strategy_lib.is_one_cpu(where) or where.jit_compile:
    return 1
  return threads.parts()


def _build(
    settings: train_config.TrainConfig,
    start: work_lib.Start,
    task: pretrained.TaskHead | None,
    parts: int,
) -> bert.Bert:
  model = bert.build(
      start.encoder,
      pretraining_heads=task is None,
      num_outputs=len(task.label_names) if task else 0,
      compute_dtype=settings.compute_dtype,
      parts=parts,
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


def _write_model(
    path: pathlib.Path,
    model: bert.Bert,
    start: work_lib.Start,
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
