"""A TFLite file that classifies token ids, or texts by a tokenizer inside.

Its signature `serving_default` has `input_ids`, Int32 [1, S] without padding,
and of pairs `type_ids`; or `text`, or `text_a` and `text_b`, String [1]. Of the
outputs it is `logits`, `score` or `probabilities`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import queue
from typing import Any

from ai_edge_litert import interpreter as interpreter_lib
import numpy as np

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import unsaid as unsaid_config
from pd_tf.teachers import one_file
from pd_tf.teachers import teacher

_SIGNATURE = "serving_default"
_TEXT_INPUTS = (["text"], ["text_a", "text_b"])
_ID_INPUTS = (["input_ids"], ["input_ids", "type_ids"])


class TfliteTeacher(teacher.Teacher):
  """Runs the file, one example at a time, as many at once as there are cores.

  Attributes:
    takes_texts: Whether its tokenizer is inside.
  """

  def __init__(
      self,
      path: str,
      encode: one_file.Encode | None,
      task: pretrained.TaskHead | None = None,
      unsaid: unsaid_config.Unsaid = unsaid_config.NOTHING,
      threads: int | None = None,
  ):
    """Loads the file.

    Args:
      path: The file.
      encode: Makes ids of texts; None where there is no vocabulary.
      task: What its outputs mean, if it says so.
      unsaid: What they mean if it does not.
      threads: Examples at a time; None: as many as cores.

    Raises:
      InputError: It is no such file, or takes ids and there is no vocabulary.
    """
    self._path = path
    self._threads = teacher.threads_or_cores(threads)
    # An interpreter runs one call at a time, so each thread takes one of its
    # own; the last one put back is taken first, as its memory is warm.
    self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
    runner = self._new_runner()
    inputs = sorted(runner.get_input_details())
    self.takes_texts = inputs in _TEXT_INPUTS
    if not self.takes_texts and inputs not in _ID_INPUTS:
      raise errors.InputError(
          f"{path}: expected inputs input_ids (and type_ids), or text (or "
          f"text_a and text_b), got {', '.join(inputs)}."
      )
    if not self.takes_texts and encode is None:
      raise errors.InputError(
          f"vocab_file: {path} takes token ids and has no vocab.txt in it or "
          "beside it; expected the vocabulary of its ids."
      )
    self._encode, self._inputs = encode, inputs
    outputs = runner.get_output_details()
    self._output = one_file.output_of(list(outputs), path)
    count = int(np.prod(outputs[self._output]["shape"]))
    super().__init__(task or teacher.head(
        unsaid.kind, unsaid.label_names, count, len(inputs), path
    ))
    self._idle.put(runner)

  def logits(self, columns: Sequence[Sequence[str]]) -> np.ndarray:
    """Returns Float32 [N, C]."""
    return teacher.in_parts(
        columns, len(self.task.label_names), self._threads, self._answered
    )

  def _answered(self, columns: Sequence[Sequence[str]]) -> np.ndarray:
    try:
      runner = self._idle.get_nowait()
    except queue.Empty:
      runner = self._new_runner()
    try:
      values = [
          runner(**example)[self._output].reshape(-1)
          for example in self._examples(columns)
      ]
    except (RuntimeError, ValueError) as error:
      raise errors.InputError(
          f"{self._path}: cannot answer: {one_file.one_line(error)}"
      ) from None
    self._idle.put(runner)
    return one_file.logits_of(self.task.kind, self._output, np.stack(values))

  def _examples(
      self, columns: Sequence[Sequence[str]]
  ) -> list[Mapping[str, np.ndarray]]:
    """Returns the inputs of each example."""
    if self._encode is None or self.takes_texts:
      return [
          {
              name: np.array([text.encode("utf-8", "ignore")])
              for name, text in zip(self._inputs, texts, strict=True)
          }
          for texts in zip(*columns, strict=True)
      ]
    encoded = self._encode(columns)
    ids, mask, types = (encoded[name] for name in one_file.INPUTS)
    # Of a single text no types.
    arrays = (ids, types)[: len(self._inputs)]
    return [
        {
            name: array[i, None, :length]
            for name, array in zip(self._inputs, arrays, strict=True)
        }
        for i, length in enumerate((mask > 0).sum(-1))
    ]

  def _new_runner(self) -> Any:
    try:
      return _interpreter(self._path).get_signature_runner(_SIGNATURE)
    except (OSError, RuntimeError, ValueError) as error:
      raise errors.InputError(
          f"{self._path}: cannot be loaded: {one_file.one_line(error)}"
      ) from None


def _interpreter(path: str) -> Any:
  """Returns an interpreter, with tensorflow_text's operations if need be."""
  plain = interpreter_lib.Interpreter(model_path=path, num_threads=1)
  signature = plain.get_signature_list().get(_SIGNATURE)
  if signature is None or sorted(signature["inputs"]) not in _TEXT_INPUTS:
    return plain
  # Here, as it costs the start of TensorFlow.
  import tensorflow_text

  return interpreter_lib.InterpreterWithCustomOps(
      tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
      model_path=path, num_threads=1,
  )
