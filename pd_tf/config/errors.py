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


def add_note(error: Exception, note: str) -> None:
  """Adds to what is said of an error, as `add_note` of Python 3.11 does."""
  error.__notes__ = [*notes(error), note]


def notes(error: Exception) -> list[str]:
  """Returns the notes of an error."""
  return list(getattr(error, "__notes__", ()))
