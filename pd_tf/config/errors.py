"""The one exception that stands for a mistake in what the user gave."""


class InputError(ValueError):
  """A setting, file or argument is not what it must be.

  The message is one line that starts with the name of the thing, says what it
  must be and what it was. The command line prints it without a traceback and
  exits with code 1.
  """


class RunError(RuntimeError):
  """A run cannot go on, and its input is not known to be at fault.

  The message is one line that says what happened, at which step, and what is
  left on disk. The command line prints it and exits with code 1.
  """


class StoppedError(RunError):
  """A run was asked to end, and the same command goes on where it stopped.

  Attributes:
    exit_code: Of the command line.
  """

  def __init__(self, message: str, exit_code: int):
    super().__init__(message)
    self.exit_code = exit_code


class WorkerLostError(RunError):
  """Another worker of the run does not answer."""


def add_note(error: Exception, note: str) -> None:
  """Adds to what is said of an error, as `add_note` of Python 3.11 does."""
  error.__notes__ = [*notes(error), note]


def notes(error: Exception) -> list[str]:
  """Returns the notes of an error."""
  return list(getattr(error, "__notes__", ()))
