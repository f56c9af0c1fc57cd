"""The command line: `pd-tf VERB --flag=value …`.

Results go to stdout, everything else to stderr. The exit code is 0, 1 after a
mistake (one line says which), 130 after Ctrl-C, or 75 where the same command
goes on: after SIGTERM, with a checkpoint written, or when a worker was lost.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import difflib
import json
import logging as python_logging
import os
import pathlib
import sys
import traceback
from typing import Any

from absl import logging

import pd_tf
from pd_tf import verbs
from pd_tf.config import errors
from pd_tf.config import flags
from pd_tf.config import help_text
from pd_tf.config import importing
from pd_tf.config import lock
from pd_tf.config import recipe
from pd_tf.config import run_dir as run_dir_lib

HELP = ("--help", "-h", "-help", "--h")
VERSION = "--version"
# EX_TEMPFAIL of sysexits.h.
TRY_AGAIN = 75
INTERRUPTED = "interrupted."
TRACEBACK_FILE = "traceback.txt"
# `configs/recipes/` lies two directories below the top of a checkout.
RECIPE_ROOTS = 3


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs one verb.

  Args:
    arguments: What follows the program's name; None: that of this process.

  Returns:
    The exit code.
  """
  given = list(sys.argv[1:] if arguments is None else arguments)
  name = given[0] if given else HELP[0]
  debug = "--debug" in given
  _quiet(debug)
  importing.small()
  try:
    _run(name, given[1:])
    # Here, not when Python ends, it can still be seen to fail.
    sys.stdout.flush()
    return 0
  except KeyboardInterrupt:
    return _failed(name, INTERRUPTED, code=130)
  except errors.StoppedError as error:
    return _failed(name, str(error), error.exit_code)
  except errors.WorkerLostError as error:
    _failed(name, _line(error))
    # Python would wait at its end for the worker that is gone.
    os._exit(TRY_AGAIN)
  except BrokenPipeError:
    # As in `pd-tf predict … | head`. Python would fail again when it ends.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")
    return _failed(name, "stopped: nobody reads its output any more.")
  except Exception as error:
    if debug:
      traceback.print_exc()
      return 1
    return _failed(name, _line(error))


def overview() -> str:
  """Returns the list of verbs, a line each."""
  lines = ["Usage: pd-tf VERB --flag=value …", ""]
  for name, verb in verbs.VERBS.items():
    first = help_text.docstring(verb.module).partition("\n")[0]
    lines.append(f"  {name:9} {first}".rstrip())
  lines += ["", "pd-tf VERB --help says what a verb reads and writes."]
  return "\n".join(lines)


def _run(name: str, arguments: list[str]) -> None:
  if name in (*HELP, "help"):
    print(overview())
  elif name == VERSION:
    print(f"pd-tf {pd_tf.__version__}")
  elif name not in verbs.VERBS:
    raise errors.InputError(_unknown_verb(name))
  elif any(argument in HELP for argument in arguments):
    verb = verbs.VERBS[name]
    print(help_text.of_verb(
        name, verb.module, verb.config, verb.owns_run_dir, verb.takes_where,
        verb.takes_processes,
    ))
  else:
    _run_verb(verbs.VERBS[name], arguments)


def _run_verb(verb: verbs.Verb, arguments: list[str]) -> None:
  parsed = flags.parse(
      verb.config, arguments, verb.owns_run_dir, verb.takes_where,
      verb.positional, verb.takes_processes, verb.needs_run_dir,
  )
  settings = _with_roots(parsed.settings, parsed.config_files)
  with _locked(parsed), _traceback_kept(parsed.run_dir):
    verbs.begin(verb, settings, parsed.where)
    result = verbs.run(
        verb, settings, parsed.run_dir, parsed.where, parsed.processes
    )
  if not verb.prints_result:
    print(json.dumps(result, indent=2, ensure_ascii=False))


def _unknown_verb(name: str) -> str:
  if name.startswith("-"):
    return f"{name}: expected a verb before the flags; see pd-tf --help."
  near = difflib.get_close_matches(name, verbs.VERBS, n=1)
  hint = f"Did you mean {near[0]}?" if near else "See pd-tf --help."
  return f"{name}: no such verb. {hint}"


def _with_roots(settings: Any, config_files: Sequence[str]) -> Any:
  """Returns a recipe's settings with the directories above its own file."""
  if not isinstance(settings, recipe.RecipeConfig):
    return settings
  roots = list(settings.roots)
  for path in config_files:
    for parent in list(pathlib.Path(path).resolve().parents)[:RECIPE_ROOTS]:
      if str(parent) not in roots:
        roots.append(str(parent))
  return dataclasses.replace(settings, roots=tuple(roots))


@contextlib.contextmanager
def _locked(parsed: flags.Arguments) -> Iterator[None]:
  # The workers of one run share its directory, and the chief writes. Parts of
  # a recipe share its directory, too, and lock what they run.
  is_part = (
      isinstance(parsed.settings, recipe.RecipeConfig)
      and parsed.settings.shares_run_dir
  )
  if parsed.run_dir is None or not parsed.where.is_chief or is_part:
    yield
  else:
    with lock.held(parsed.run_dir):
      yield


def _quiet(debug: bool) -> None:
  """Keeps TensorFlow's own messages off stderr, before it is imported."""
  # 3, not 2: without a GPU the search for one is logged as an error.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
  logging.set_verbosity(logging.INFO if debug else logging.WARNING)
  if not debug:
    # It warns of graphs traced anew: a recipe has a model for every stage.
    python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)


@contextlib.contextmanager
def _traceback_kept(run_dir: pathlib.Path | None) -> Iterator[None]:
  """Notes on an error that nobody foresaw where its traceback is."""
  try:
    yield
  except (errors.InputError, errors.RunError, OSError):
    raise
  except Exception as error:
    note = "run again with --debug for the traceback"
    # Only a claimed directory: a stray file keeps others from being claimed.
    if run_dir and (run_dir / run_dir_lib.CONFIG_FILE).exists():
      path = run_dir / TRACEBACK_FILE
      with contextlib.suppress(OSError):
        path.write_text("".join(traceback.format_exception(error)), "utf-8")
        note = f"traceback in {path}"
    errors.add_note(error, note)
    raise


def _line(error: Exception) -> str:
  """Returns the one line that says what went wrong."""
  if isinstance(error, (errors.InputError, errors.RunError)):
    text = str(error)
  elif isinstance(error, OSError) and error.strerror:
    text = f"{error.filename}: " if error.filename else ""
    text += f"{error.strerror}."
  else:
    text = f"{type(error).__name__}: {error}"
  notes = "; ".join(errors.notes(error))
  return " ".join((f"{text} ({notes})" if notes else text).split())


def _failed(verb: str, message: str, code: int = 1) -> int:
  owns = verb in verbs.VERBS and verbs.VERBS[verb].owns_run_dir
  if message == INTERRUPTED and owns:
    message += " The same command goes on where it stopped."
  name = f" {verb}" if verb in verbs.VERBS else ""
  print(f"pd-tf{name}: {message}", file=sys.stderr)
  return code
