r"""Runs the stages of a recipe one after another, those that need to be.

Reads a YAML file of stages, each a verb, its config files and settings. In
settings, {NAME} stands for the directory of the stage NAME or for a variable,
{run_dir} for the recipe's directory, ${NAME} for the environment's.

Writes to run_dir a directory for every stage and, beside it, NAME.stage.json:
settings, fingerprints of inputs, seconds and result. A stage that is finished
and whose settings and inputs are unchanged is skipped; one that was killed goes
on; one that changed is run anew, its old directory kept as NAME.old-1.

Example:
  pd-tf recipe --config=configs/recipes/quickstart.yaml --run_dir=runs/first
  pd-tf recipe --config=configs/recipes/sst2_tiny.yaml --run_dir=runs/sst2 \
      --set=variables.train_file=my_train.tsv
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import gc
import pathlib
import shlex
import sys
import traceback
from typing import Any

from pd_tf import stages as stages_lib
from pd_tf import verbs
from pd_tf.config import errors
from pd_tf.config import plan
from pd_tf.config import recipe as recipe_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.config import where as where_lib


def run(
    settings: recipe_config.RecipeConfig,
    run_dir: pathlib.Path,
    where: where_lib.Where = where_lib.ONE_DEVICE,
) -> dict[str, Any]:
  """Runs what is not finished, and prints the seconds of each stage.

  Args:
    settings: The recipe.
    run_dir: Made, or a recipe's own from before.
    where: Devices of the stages that train or label.

  Returns:
    Verb, seconds and result of every stage that was asked for, by name.

  Raises:
    InputError: Something in the recipe or a stage's input is wrong; what is
      wrong in the recipe itself is found before anything runs.
    RunError: Several stages failed; the others ran.
  """
  kinds = {name: verb.config for name, verb in verbs.VERBS.items()}
  planned = plan.stages(settings, run_dir, kinds)
  wanted = _wanted(settings, planned)
  epilogue = plan.epilogue(settings, run_dir)
  _claim(run_dir, settings)
  if settings.list:
    return _print_commands(wanted, run_dir, where)
  runner = stages_lib.Runner(run_dir, where, settings.shares_run_dir)
  outcomes, failed = _run_all(_with_needs(wanted, planned), runner)
  result = {
      "seconds": round(sum(o["seconds"] for o in outcomes.values()), 1),
      "stages": outcomes,
  }
  if not failed and not settings.shares_run_dir:
    run_dir_lib.finish(run_dir, result)
  if outcomes:
    print(table(result))
  _raise_failures(failed)
  if epilogue and not settings.shares_run_dir:
    print("\n" + epilogue.rstrip())
  return result


def _run_all(
    planned: Sequence[plan.Stage], runner: stages_lib.Runner
) -> tuple[dict[str, Any], dict[str, Exception]]:
  """Runs stages in order; one that fails stops only those that need it.

  Returns:
    Outcomes and errors, by name of the run.
  """
  outcomes: dict[str, Any] = {}
  failed: dict[str, Exception] = {}
  missing: set[str] = set()
  for number, stage in enumerate(planned, start=1):
    label = f"[{number}/{len(planned)}] {stage.name}"
    lost = stage.needs & missing
    registered = set(_gradients())
    try:
      if lost:
        stage = _without(stage, lost, label)
      outcomes[stage.name] = runner.run(stage, label)
    except errors.StoppedError:
      raise
    except _NeedsFailedError:
      missing.add(stage.name)
    except Exception as error:
      stages_lib.say(f"{label}: failed: {' '.join(str(error).split())}")
      _forget_frames(error)
      failed[stage.name] = error
      missing.add(stage.name)
    _free_models(registered)
  return outcomes, failed


def _forget_frames(error: BaseException | None) -> None:
  """Drops what the calls that failed held, the stage's models among it."""
  while error is not None:
    traceback.clear_frames(error.__traceback__)
    error = error.__cause__ or error.__context__


def _free_models(registered: Collection[str]) -> None:
  """Frees a stage's models, which the next does not need.

  TensorFlow keeps the gradient of each tf.custom_gradient that was traced, and
  with it the graph and the variables: 100 MB for every Tiny that was trained.

  Args:
    registered: Gradients that were there before the stage.
  """
  gradients = _gradients()
  for name in set(gradients).difference(registered):
    if name.startswith("CustomGradient-"):
      del gradients[name]
  gc.collect()


def _gradients() -> dict[str, Any]:
  """Returns the gradients that TensorFlow knows by now, by name."""
  framework = sys.modules.get("tensorflow.python.framework.ops")
  return framework.gradient_registry._registry if framework else {}


class _NeedsFailedError(Exception):
  """What a run reads is not there, as another failed."""


def _without(stage: plan.Stage, lost: frozenset[str], label: str) -> plan.Stage:
  """Returns a stage that does without runs that it gathers.

  Raises:
    _NeedsFailedError: It cannot do without them.
  """
  names = ", ".join(sorted(lost))
  rest = stage.gathers - lost
  if not lost <= stage.gathers or not rest:
    stages_lib.say(f"{label}: not run, as it needs {names}.")
    raise _NeedsFailedError
  stages_lib.say(f"{label}: without {names}.")
  endings = tuple("/" + name for name in lost)

  def kept(value: Any) -> Any:
    if isinstance(value, Mapping):
      return {key: kept(item) for key, item in value.items()}
    if isinstance(value, list):
      return [
          kept(item) for item in value if not str(item).endswith(endings)
      ]
    return value

  left: Any = settings_lib.from_mapping(
      type(stage.settings), kept(settings_lib.to_mapping(stage.settings))
  )
  return dataclasses.replace(stage, settings=left)


def _raise_failures(failed: Mapping[str, Exception]) -> None:
  """Raises the error there is, or one that lists them."""
  if len(failed) == 1:
    raise next(iter(failed.values()))
  if failed:
    lines = "; ".join(_with_name(*item) for item in failed.items())
    raise errors.RunError(f"{len(failed)} runs failed: {lines}.")


def _with_name(name: str, error: Exception) -> str:
  """Returns what went wrong, with the run's name before it."""
  text = str(error).rstrip(".")
  if isinstance(error, (errors.InputError, errors.RunError)):
    return text  # Has the name.
  return f"stage {name}: {type(error).__name__}: {text}"


def _wanted(
    settings: recipe_config.RecipeConfig, planned: Sequence[plan.Stage]
) -> list[plan.Stage]:
  """Returns the runs that this process was asked for."""
  wanted = list(planned)
  if settings.only:
    for name in settings.only:
      if not any(_is_or_below(stage.name, name) for stage in planned):
        raise errors.InputError(
            f"only: {name!r} is no stage or run of this recipe; --list prints "
            "them."
        )
    wanted = [
        stage for stage in planned
        if any(_is_or_below(stage.name, name) for name in settings.only)
    ]
  part, parts = settings.part
  return wanted[part - 1 :: parts]


def _is_or_below(run: str, name: str) -> bool:
  return (run + "/").startswith(name.rstrip("/") + "/")


def _with_needs(
    wanted: Sequence[plan.Stage], planned: Sequence[plan.Stage]
) -> list[plan.Stage]:
  """Returns runs and all that they read, in order."""
  names = {stage.name for stage in wanted}
  for stage in reversed(planned):
    if stage.name in names:
      names |= stage.needs
  return [stage for stage in planned if stage.name in names]


def _print_commands(
    wanted: Sequence[plan.Stage], run_dir: pathlib.Path, where: where_lib.Where
) -> dict[str, Any]:
  """Prints a command for each run."""
  config = run_dir / run_dir_lib.CONFIG_FILE
  devices = [
      f"--{field.name}={getattr(where, field.name)}"
      for field in dataclasses.fields(where)
      if getattr(where, field.name) != field.default
  ]
  for stage in wanted:
    print(shlex.join([
        "pd-tf", "recipe", f"--config={config}", f"--run_dir={run_dir}",
        f"--only={stage.name}", *devices,
    ]))
  return {"runs": [stage.name for stage in wanted]}


def table(result: Mapping[str, Any]) -> str:
  """Returns a recipe's result as lines of stage, verb and seconds."""
  width = max(len("stage"), *map(len, result["stages"]))
  lines = [f"{'stage':{width}}  verb      seconds"]
  for name, outcome in result["stages"].items():
    note = "  finished earlier" if outcome["skipped"] else ""
    lines.append(
        f"{name:{width}}  {outcome['verb']:8}  "
        f"{outcome['seconds']:7.1f}{note}"
    )
  lines.append(f"{'total':{width}}  {'':8}  {result['seconds']:7.1f}")
  return "\n".join(lines)


def _claim(
    run_dir: pathlib.Path, settings: recipe_config.RecipeConfig
) -> None:
  """Makes or reopens a recipe's directory; its settings may have changed."""
  config_path = run_dir / run_dir_lib.CONFIG_FILE
  whole = settings.whole()
  if not config_path.exists():
    run_dir_lib.claim(run_dir, whole)
    return
  if "stages" not in settings_lib.read_yaml(config_path):
    raise errors.InputError(
        f"run_dir: {run_dir} belongs to a run of another verb; choose another "
        "run_dir."
    )
  same = settings_lib.read_yaml(config_path) == settings_lib.to_mapping(whole)
  # A part of a recipe takes nothing from the others that are at work there.
  if not (same and settings.shares_run_dir):
    (run_dir / run_dir_lib.RESULT_FILE).unlink(missing_ok=True)
    run_dir_lib.write_atomically(config_path, settings_lib.to_yaml(whole))
