"""Texts to the encoder's inputs, as the SavedModel that TF-Hub has for BERT."""

import pathlib

from official.nlp.tools import export_tfhub_lib


def write(
    path: pathlib.Path,
    vocab_file: pathlib.Path,
    lower_case: bool,
    seq_length: int,
) -> None:
  """Writes the SavedModel; its parts are those of bert_en_uncased_preprocess/3.

  Args:
    path: Directory to make.
    vocab_file: The vocabulary; becomes an asset.
    lower_case: Whether texts are lower-cased and stripped of accents.
    seq_length: Length of rows unless `bert_pack_inputs` is given another.
  """
  export_tfhub_lib.export_preprocessing(
      str(path),
      vocab_file=str(vocab_file),
      do_lower_case=lower_case,
      tokenize_with_offsets=True,
      default_seq_length=seq_length,
  )
