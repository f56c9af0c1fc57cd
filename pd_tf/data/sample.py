"""Generates product reviews: the data of the quickstart.

The project ships no text of others, so this makes some, the same for the same
seed. A review is about one product and of one polarity. Its sentences say
opinions of either kind of word ("not flimsy" praises), set one clause against
another ("X but Y": the last rules), tell what the writer did next ("I sent it
back"), or only facts. Of the opinion words the labelled training texts show a
part; the reviews show all, in the company of their like.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import random
from typing import TypeVar

from pd_tf.data import sample_grammar as grammar

Item = TypeVar("Item")

NEGATION_RATE = 0.05
INTENSIFIER_RATE = 0.3
PAIR_RATE = 0.2
CONTRAST_RATE = 0.1
AGREEMENT_RATE = 0.15
SETTING_RATE = 0.5
FACT_RATE = 0.1
OUTCOME_RATE = 0.15
TAIL_RATE = 0.4
TONE_RATE = 0.5
MOOD_RATE = 0.4
MIN_WORDS, MAX_WORDS = 5, 18


@dataclasses.dataclass(frozen=True)
class Example:
  """One text and whether it praises."""

  text: str
  positive: bool


class Draws:
  """Random choices that stay the same from one Python to the next.

  Only `random()` of Python's generator is promised not to change between
  versions, so everything here is made of it.
  """

  def __init__(self, seed: str):
    self._random = random.Random(seed).random

  def chance(self, rate: float) -> bool:
    """Returns true at that rate."""
    return self._random() < rate

  def below(self, bound: int) -> int:
    """Returns an int in [0, bound)."""
    return int(self._random() * bound)

  def pick(self, items: Sequence[Item]) -> Item:
    """Returns one of the items."""
    return items[self.below(len(items))]

  def shuffled(self, items: Sequence[Item]) -> list[Item]:
    """Returns the items in a random order."""
    result = list(items)
    for i in range(len(result) - 1, 0, -1):
      j = self.below(i + 1)
      result[i], result[j] = result[j], result[i]
    return result


class Deck:
  """Deals words so that each comes up about as often as any other."""

  def __init__(self, draws: Draws, words: Sequence[str]):
    self._draws = draws
    self._words = words
    self._left: list[str] = []

  def deal(self) -> str:
    """Returns the next word; shuffles when all were dealt."""
    if not self._left:
      self._left = self._draws.shuffled(self._words)
    return self._left.pop()


class Writer:
  """Writes sentences with some of the opinion words.

  Args:
    draws: Where its choices come from.
    keep: Which opinion words it knows.
  """

  def __init__(
      self, draws: Draws, keep: Callable[[str], bool], tone_rate: float = 0.0
  ):
    self._draws = draws
    self._tone_rate = tone_rate
    self._decks = {
        (index, positive): Deck(
            draws, [word for word in kind.words(positive) if keep(word)]
        )
        for index, (kind, _) in enumerate(grammar.CLASSES)
        for positive in (False, True)
    }

  def opinion(self, product: str, positive: bool) -> str:
    """Returns an opinion of a product, 5 to 18 words, without a full stop."""
    while True:
      text = self._opinion(product, positive)
      if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
        return text

  def example(self, positive: bool) -> Example:
    """Returns a text of its own about any product."""
    product = self._draws.pick(list(grammar.PRODUCTS))
    return Example(sentence(self.opinion(product, positive)), positive)

  def review(self, positive: bool) -> list[str]:
    """Returns the sentences of one review."""
    product = self._draws.pick(list(grammar.PRODUCTS))
    lines = [self._title(product, positive)]
    if self._draws.chance(0.5):
      lines.append(self._filled(self._draws.pick(grammar.OPENINGS), product))
    for _ in range(4 + self._draws.below(6)):
      lines.append(self._review_sentence(product, positive))
    lines.append(sentence(self._outcome(product, positive)))
    return lines

  def _title(self, product: str, positive: bool) -> str:
    deck = self._decks[0, positive]
    words = [deck.deal() for _ in range(3)]
    text = self._draws.pick(grammar.TITLES).format(
        product=product, word=words[0], word2=words[1], word3=words[2],
        a_word=with_article(words[0])
    )
    return text[0].upper() + text[1:]

  def _review_sentence(self, product: str, positive: bool) -> str:
    kind = self._draws.below(100) / 100
    if kind < FACT_RATE:
      return self._filled(self._draws.pick(grammar.FACTS), product)
    if kind < FACT_RATE + OUTCOME_RATE:
      return sentence(self._outcome(product, positive))
    opinion = self.opinion(product, positive)
    if self._draws.chance(TAIL_RATE):
      opinion = self._draws.pick(grammar.OUTCOME_JOINS).format(
          opinion=opinion, outcome=self._outcome(product, positive)
      )
    elif self._draws.chance(MOOD_RATE):
      mood = self._draws.pick(grammar.MOODS)[0 if positive else 1]
      opinion = f"{mood}, {opinion}"
    return sentence(opinion)

  def _opinion(self, product: str, positive: bool) -> str:
    shape = self._draws.below(100) / 100
    last = self._clause(product, positive, lone=shape >= 0.5)
    if shape < CONTRAST_RATE:
      first = self._clause(product, not positive)
      return self._draws.pick(grammar.CONTRASTS).format(a=first, b=last)
    if shape < CONTRAST_RATE + AGREEMENT_RATE:
      first = self._clause(product, positive)
      return self._draws.pick(grammar.AGREEMENTS).format(a=first, b=last)
    if self._draws.chance(SETTING_RATE):
      setting = self._filled(self._draws.pick(grammar.SETTINGS), product)
      return f"{setting}, {last}"
    return last

  def _clause(self, product: str, positive: bool, lone: bool = False) -> str:
    index = self._class_index()
    kind = grammar.CLASSES[index][0]
    negated = self._draws.chance(NEGATION_RATE)
    deck = self._decks[index, positive != negated]
    word = self._with_intensifier(
        kind, deck.deal(), positive != negated
    )
    if lone and kind.pairs and self._draws.chance(PAIR_RATE):
      word += (" or " if negated else " and ") + deck.deal()
    template = self._draws.pick(kind.negated if negated else kind.affirmed)
    return template.format(
        product=product, part=self._part(product), word=word,
        a_word=with_article(word),
    )

  def _class_index(self) -> int:
    left = self._draws.below(1000) / 1000
    for index, (_, rate) in enumerate(grammar.CLASSES):
      left -= rate
      if left < 0:
        return index
    return 0

  def _with_intensifier(
      self, kind: grammar.OpinionClass, word: str, praise: bool
  ) -> str:
    if self._draws.chance(self._tone_rate):
      return f"{self._draws.pick(kind.tones[0 if praise else 1])} {word}"
    if self._draws.chance(INTENSIFIER_RATE):
      return f"{self._draws.pick(kind.intensifiers)} {word}"
    return word

  def _part(self, product: str) -> str:
    return self._draws.pick(grammar.PRODUCTS[product] + grammar.GENERAL_PARTS)

  def _outcome(self, product: str, positive: bool) -> str:
    template, good, bad = self._draws.pick(grammar.OUTCOMES)
    template = template.replace("{polar}", good if positive else bad)
    return self._filled(template, product)

  def _filled(self, template: str, product: str) -> str:
    draws = self._draws
    color, color2 = draws.shuffled(grammar.COLORS)[:2]
    part, part2 = draws.shuffled(grammar.PRODUCTS[product])[:2]
    return template.format(
        product=product, part=part, part2=part2, color=color, color2=color2,
        other=draws.pick(list(grammar.PRODUCTS)),
        person=draws.pick(grammar.PEOPLE), month=draws.pick(grammar.MONTHS),
        place=draws.pick(grammar.PLACES), number=draws.pick(grammar.NUMBERS),
    )


def opinion_words(positive: bool) -> tuple[str, ...]:
  """Returns the opinion words of one polarity."""
  return tuple(
      word for kind, _ in grammar.CLASSES for word in kind.words(positive)
  )


def seen_words(seed: int, share: float) -> frozenset[str]:
  """Returns the opinion words that labelled training texts may show.

  Args:
    seed: Of the choice.
    share: Of each class and polarity; at least one word of each is kept.
  """
  draws = Draws(f"{seed}/seen")
  seen: list[str] = []
  for kind, _ in grammar.CLASSES:
    for positive in (False, True):
      words = draws.shuffled(kind.words(positive))
      seen += words[:max(1, round(share * len(words)))]
  return frozenset(seen)


def examples(
    seed: str,
    number: int,
    keep: Callable[[str], bool],
    taken: set[str],
) -> list[Example]:
  """Returns different labelled texts, half of them praise.

  Args:
    seed: Of the draws.
    number: How many.
    keep: Which opinion words they may use.
    taken: Texts that must not come up; the new ones are added.
  """
  writer = Writer(Draws(seed), keep)
  result: list[Example] = []
  while len(result) < number:
    example = writer.example(positive=len(result) % 2 == 0)
    if example.text not in taken:
      taken.add(example.text)
      result.append(example)
  return Draws(seed + "/order").shuffled(result)


def reviews(seed: str, num_sentences: int, taken: set[str]) -> list[list[str]]:
  """Returns reviews, half of them praise, until the sentences suffice.

  Args:
    seed: Of the draws.
    num_sentences: At the least; the last review is written to its end.
    taken: Texts that no review may contain.
  """
  writer = Writer(Draws(seed), lambda word: True, TONE_RATE)
  result: list[list[str]] = []
  count = 0
  while count < num_sentences:
    lines = writer.review(positive=len(result) % 2 == 0)
    if taken.isdisjoint(lines):
      result.append(lines)
      count += len(lines)
  return Draws(seed + "/order").shuffled(result)


def sentence(text: str) -> str:
  """Returns the text with a capital and a full stop."""
  return text[0].upper() + text[1:] + "."


def with_article(word: str) -> str:
  """Returns the word after "a" or "an"."""
  vowel = word[0] in "aeiou" and not word.startswith("use")
  return f"{'an' if vowel else 'a'} {word}"
