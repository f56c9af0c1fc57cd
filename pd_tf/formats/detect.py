"""Which format a model has, told by looking at what is there."""

from collections.abc import Callable
import pathlib
import types
import zipfile

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import run_dir
from pd_tf.formats import hugging_face
from pd_tf.formats import keras_hub
from pd_tf.formats import keras_hub_config
from pd_tf.formats import model_garden
from pd_tf.formats import release
from pd_tf.formats import replacement
from pd_tf.formats import tf1_hub
from pd_tf.formats import tf_hub

# A run keeps the best model by the dev metric, and the last.
RUN_MODELS = ("best", "last")

# In this order: a module of TF1 has the files of a SavedModel too, a preset
# the config.json of Hugging Face, a checkpoint of Model Garden the
# bert_config.json of the release.
_FORMATS: dict[str, types.ModuleType] = {
    "tf1_hub": tf1_hub,
    "tfhub": tf_hub,
    "keras_hub": keras_hub,
    "hugging_face": hugging_face,
    "model_garden": model_garden,
    "release": release,
}

# Of those with a file that has the shape.
_CONFIGS: dict[str, Callable[[pathlib.Path], encoder.EncoderConfig]] = {
    "keras_hub": keras_hub_config.read,
    "hugging_face": hugging_face.read_config,
    "release": release.read_config,
}

_LOOKED_FOR = (
    f"a run ({run_dir.CONFIG_FILE} with {' or '.join(RUN_MODELS)}), a release "
    f"directory or .zip ({release.CONFIG_NAME}), a TF-Hub model "
    "(saved_model.pb), a Hugging Face directory or a Keras Hub preset "
    "(config.json), or a Model Garden checkpoint"
)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns a model, whichever of the known formats it has.

  Args:
    path: The run, directory, zip or prefix of a checkpoint.

  Raises:
    InputError: There is no such path, it has no known format, or what it has
      cannot be read.
  """
  path = pathlib.Path(path)
  kind = detect(path)
  if kind == "run":
    return release.read(model_of_run(path))
  return _FORMATS[kind].read(path)


def encoder_of(path: str | pathlib.Path) -> encoder.EncoderConfig | None:
  """Returns the shape of a model where a file beside its weights says it.

  Returns:
    None for a format that has no such file, and for a zip, which would have to
    be unpacked.

  Raises:
    InputError: As `read`, but weights are not looked at.
  """
  path = pathlib.Path(path)
  kind = detect(path)
  if kind == "run":
    return release.read_config(model_of_run(path))
  if kind not in _CONFIGS or path.is_file():
    return None
  return _CONFIGS[kind](path)


def detect(path: str | pathlib.Path) -> str:
  """Returns the format of what is at a path, without reading the weights.

  Returns:
    run, or a format as `pd-tf convert --format` names it.

  Raises:
    InputError: There is no such path, or it has no known format.
  """
  path = pathlib.Path(path)
  if path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path)):
    return "release"
  if (path / run_dir.CONFIG_FILE).is_file():
    return "run"
  for kind, form in _FORMATS.items():
    if form.found_in(path):
      return kind
  if not path.exists():
    raise errors.InputError(f"{path}: no such model; expected {_LOOKED_FOR}.")
  raise errors.InputError(f"{path}: expected {_LOOKED_FOR}; found none.")


def model_of_run(path: pathlib.Path) -> pathlib.Path:
  """Returns the model of a finished run: the best where there is one.

  Raises:
    InputError: The run is not finished, or has no model.
  """
  if run_dir.read_result(path) is None:
    raise errors.InputError(
        f"{path}: the run must be finished, has no {run_dir.RESULT_FILE} yet."
    )
  for name in RUN_MODELS:
    replacement.recover(path / name)
    if (path / name).is_dir():
      return path / name
  raise errors.InputError(
      f"{path}: expected the run of a training, with a model in "
      f"{' or '.join(RUN_MODELS)}; found none."
  )
