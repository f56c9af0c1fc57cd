"""The verbs: which module does each, and with which settings.

A module is named, not imported: what a command does not need, TensorFlow above
all, it does not wait for.
"""

from collections.abc import Callable
import dataclasses
import importlib
import pathlib
from typing import Any

from pd_tf.config import choose
from pd_tf.config import convert
from pd_tf.config import evaluate
from pd_tf.config import export
from pd_tf.config import label
from pd_tf.config import predict
from pd_tf.config import prepare
from pd_tf.config import processes as processes_lib
from pd_tf.config import recipe
from pd_tf.config import report
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import sample
from pd_tf.config import serve
from pd_tf.config import train
from pd_tf.config import vocab
from pd_tf.config import where as where_lib


@dataclasses.dataclass(frozen=True)
class Verb:
  """How one verb is run.

  Attributes:
    module: Has `run(settings, run_dir)`, or with `where` or `processes` last.
    config: Class of its settings.
    owns_run_dir: Whether it writes a run directory, which then must be given.
    takes_where: Whether it takes the devices.
    positional: The setting that arguments without a flag fill.
    prints_result: Whether it writes its result to stdout itself.
    takes_processes: Whether it takes where its pipeline runs.
    needs_run_dir: Whether settings need a run directory, where the verb owns
      one.
    begins: Whether the module has `begin(settings, where)`, for a process in
      which nothing else runs.
  """

  module: str
  config: type
  owns_run_dir: bool = False
  takes_where: bool = False
  positional: str | None = None
  prints_result: bool = False
  takes_processes: bool = False
  needs_run_dir: Callable[[Any], bool] = lambda settings: True
  begins: bool = False


VERBS = {
    "sample": Verb("pd_tf.sample", sample.SampleConfig, owns_run_dir=True),
    "vocab": Verb("pd_tf.vocab", vocab.VocabConfig, owns_run_dir=True),
    "prepare": Verb(
        "pd_tf.prepare", prepare.PrepareConfig, owns_run_dir=True,
        takes_processes=True,
    ),
    "train": Verb(
        "pd_tf.train", train.TrainConfig, owns_run_dir=True, takes_where=True,
        begins=True,
    ),
    "label": Verb(
        "pd_tf.label", label.LabelConfig, owns_run_dir=True,
        takes_processes=True,
    ),
    "evaluate": Verb(
        "pd_tf.evaluate", evaluate.EvaluateConfig, owns_run_dir=True,
        positional="compare",
        needs_run_dir=evaluate.EvaluateConfig.needs_run_dir,
    ),
    "choose": Verb("pd_tf.choose", choose.ChooseConfig, owns_run_dir=True),
    "predict": Verb(
        "pd_tf.predict", predict.PredictConfig, positional="input",
        prints_result=True,
    ),
    "serve": Verb("pd_tf.serve", serve.ServeConfig, prints_result=True),
    "export": Verb("pd_tf.export", export.ExportConfig),
    "convert": Verb("pd_tf.convert", convert.ConvertConfig),
    "recipe": Verb(
        "pd_tf.recipe", recipe.RecipeConfig, owns_run_dir=True,
        takes_where=True, prints_result=True,
    ),
    "report": Verb(
        "pd_tf.report", report.ReportConfig, positional="runs",
        prints_result=True,
    ),
}


def begin(verb: Verb, settings: Any, where: where_lib.Where) -> None:
  """Does what a verb does first where the process is for this run alone."""
  if verb.begins:
    importlib.import_module(verb.module).begin(settings, where)


def run(
    verb: Verb,
    settings: Any,
    run_dir: pathlib.Path | None,
    where: where_lib.Where,
    processes: processes_lib.Processes = processes_lib.HERE,
) -> dict[str, Any]:
  """Imports the verb's module and runs it; returns its result."""
  module = importlib.import_module(verb.module)
  with run_dir_lib.given_back(run_dir):
    if verb.takes_where:
      return module.run(settings, run_dir, where)
    if verb.takes_processes:
      return module.run(settings, run_dir, processes)
    return module.run(settings, run_dir)
