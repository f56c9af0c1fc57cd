"""Texts as google-research/bert's BasicTokenizer cleans them, at speed.

What is ASCII is done to whole batches of bytes; what is not, to whole batches
of code points. What is left to do is cutting at white space and punctuation and
around Chinese characters, which tensorflow_text does as BERT did.
"""

from collections.abc import Sequence
import functools
import unicodedata

import numpy as np

# A word of more characters is unknown (WordpieceTokenizer's default).
LONGEST_WORD = 200
# Of UTF-8; longer words are none in what is normalized.
LONGEST_WORD_BYTES = 4 * LONGEST_WORD
# Of private use: no vocabulary has it, so that its word is unknown.
_UNKNOWN = "\ue000"
_KEEP, _DROP, _SPACE, _ACCENT = range(4)
# White space; other control characters vanish. 0xff is in no UTF-8.
_SEPARATOR = b"\xff"
_BLANKS = b"\t\n\r"
_CONTROLS = bytes(c for c in [*range(32), 127] if c not in _BLANKS)
_TO_SPACE = bytes.maketrans(_BLANKS, b"   ")
_TO_LOWER = bytes(_TO_SPACE[c] for c in bytes(range(256)).lower())
# Where category is a question: planes beyond have letters, but for the tags
# and variation selectors of the last.
_PLANES = (range(0x80, 0x20000), range(0xE0000, 0xE0200))
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def normalized(
    texts: Sequence[str] | Sequence[bytes], lower_case: bool
) -> list[bytes]:
  """Returns texts without control characters and with plain spaces.

  Args:
    texts: Or their UTF-8; what is not is dropped.
    lower_case: Whether to lower-case and strip accents too.

  Returns:
    As many texts, none with a line end. A word that BERT takes for unknown for
    its length alone is one unknown character.
  """
  if not len(texts):
    return []
  table = _TO_LOWER if lower_case else _TO_SPACE
  data = (
      text.encode("utf-8", "ignore") if isinstance(text, str) else text
      for text in texts
  )
  joined = _SEPARATOR.join(
      text if b"\xff" not in text else text.replace(b"\xff", b"")
      for text in data
  ).translate(table, _CONTROLS)
  found = joined.split(_SEPARATOR)
  if not joined.replace(_SEPARATOR, b"").isascii():
    other = [i for i, text in enumerate(found) if not text.isascii()]
    # Line ends are spaces by now, so that they can join texts.
    whole = b"\n".join(found[i] for i in other).decode("utf-8", "ignore")
    cleaned = _of_any_script(whole, lower_case).encode("utf-8", "ignore")
    for i, text in zip(other, cleaned.split(b"\n"), strict=True):
      found[i] = text
    joined = _SEPARATOR.join(found)
  for i in _with_long_words(joined):
    found[i] = _without_long_words(found[i].decode()).encode()
  return found


def _of_any_script(text: str, lower_case: bool) -> str:
  text = _applied(text, (_DROP, _SPACE))
  if not lower_case:
    return text
  text = unicodedata.normalize("NFD", text.lower())
  return _applied(text, (_ACCENT,))


def _applied(text: str, actions: tuple[int, ...]) -> str:
  points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
  found = _actions()[points]
  if _SPACE in actions and (found == _SPACE).any():
    points = np.where(found == _SPACE, ord(" "), points)
  gone = found == (_DROP if _DROP in actions else _ACCENT)
  if gone.any():
    points = points[~gone]
  return points.astype("<u4").tobytes().decode("utf-32-le")


@functools.cache
def _actions() -> np.ndarray:
  """Returns what is done to each code point, Uint8 [0x110000]."""
  actions = np.full(0x110000, _KEEP, np.uint8)
  for plane in _PLANES:
    for point in plane:
      character = chr(point)
      category = unicodedata.category(character)
      if category in ("Cc", "Cf") or point == 0xFFFD:
        actions[point] = _DROP
      elif category == "Zs" or character.isspace():
        actions[point] = _SPACE
      elif category == "Mn":
        actions[point] = _ACCENT
  return actions


def _is_ascii_end() -> np.ndarray:
  ends = np.zeros(256, bool)
  for c in range(128):
    ends[c] = not chr(c).isalnum()
  ends[_SEPARATOR[0]] = True
  return ends


_ENDS = _is_ascii_end()


def _with_long_words(joined: bytes) -> list[int]:
  """Returns the texts, joined by separators, that may have too long words."""
  array = np.frombuffer(joined, np.uint8)
  ends = np.concatenate([[-1], np.flatnonzero(_ENDS[array]), [len(array)]])
  long = np.flatnonzero(np.diff(ends) > LONGEST_WORD + 1)
  if not len(long):
    return []
  starts = np.flatnonzero(array == _SEPARATOR[0])
  return np.unique(
      np.searchsorted(starts, ends[long], side="right")
  ).tolist()


def _without_long_words(text: str) -> str:
  words, word = [], []
  for character in text + " ":
    if not _ends_word(character):
      word.append(character)
      continue
    words.append(_UNKNOWN if len(word) > LONGEST_WORD else "".join(word))
    words.append(character)
    word = []
  return "".join(words)[:-1]


@functools.lru_cache(maxsize=1 << 16)
def _ends_word(character: str) -> bool:
  point = ord(character)
  if point < 128:
    return bool(_ENDS[point])
  return unicodedata.category(character).startswith("P") or any(
      first <= point <= last for first, last in _CHINESE
  )
