"""Words and templates of the generated product reviews.

Everything here was written for this project. Words of opinion come in four
classes; in each, positive and negative words take the same templates, so that
nothing but the company a word keeps tells its polarity.
"""

import dataclasses

# Parts that a product of that name has; every opinion can be said of a part.
PRODUCTS = {
    "kettle": ("lid", "handle", "spout", "base", "switch", "cord"),
    "lamp": ("shade", "base", "switch", "cord", "arm"),
    "toaster": ("tray", "lever", "dial", "cord", "timer"),
    "blender": ("jug", "lid", "blade", "motor", "base", "button"),
    "backpack": ("strap", "zipper", "pocket", "lining", "buckle", "seam"),
    "suitcase": ("shell", "handle", "zipper", "lock", "lining"),
    "jacket": ("collar", "zipper", "lining", "pocket", "hood", "seam"),
    "chair": ("seat", "cushion", "frame", "armrest", "backrest"),
    "desk": ("drawer", "surface", "frame", "shelf", "lock"),
    "clock": ("dial", "alarm", "case", "display", "button"),
    "radio": ("speaker", "antenna", "dial", "display", "button"),
    "vacuum": ("hose", "motor", "brush", "filter", "cord", "handle"),
    "heater": ("fan", "dial", "grill", "cord", "timer"),
    "drill": ("grip", "motor", "battery", "trigger", "case"),
    "tent": ("frame", "zipper", "floor", "cover", "door"),
    "bike": ("saddle", "frame", "brake", "chain", "grip"),
    "headset": ("microphone", "cushion", "band", "cable", "speaker"),
    "keyboard": ("layout", "frame", "cable", "stand"),
    "printer": ("tray", "display", "cable", "lid", "software"),
    "camera": ("lens", "strap", "screen", "battery", "menu", "grip"),
    "phone": ("screen", "battery", "speaker", "case", "menu"),
    "watch": ("strap", "dial", "clasp", "battery", "display"),
    "umbrella": ("handle", "frame", "cover", "button"),
    "pillow": ("cover", "filling", "seam", "zipper"),
    "stroller": ("brake", "seat", "handle", "basket", "hood"),
    "pan": ("handle", "lid", "coating", "base"),
    "knife": ("blade", "handle", "grip", "sheath"),
    "flask": ("lid", "handle", "seal", "cap", "coating"),
    "mixer": ("bowl", "motor", "stand", "dial", "whisk"),
    "scale": ("display", "button", "surface", "battery"),
}
GENERAL_PARTS = ()


@dataclasses.dataclass(frozen=True)
class OpinionClass:
  """One class of opinion words and what can be said with them.

  Attributes:
    positive: Words of praise.
    negative: Words of complaint, as many.
    affirmed: Clauses that say the word of a part or of the product.
    negated: Clauses that deny it.
    intensifiers: Words that may stand before it and change no polarity.
    tones: Words that reviews put before it, by its own polarity: praise,
      complaint.
    pairs: Whether two words may be joined, "neat and handy".
  """

  positive: tuple[str, ...]
  negative: tuple[str, ...]
  affirmed: tuple[str, ...]
  negated: tuple[str, ...]
  intensifiers: tuple[str, ...]
  tones: tuple[tuple[str, ...], tuple[str, ...]]
  pairs: bool = False

  def words(self, positive: bool) -> tuple[str, ...]:
    """Returns the words of one polarity."""
    return self.positive if positive else self.negative


ADJECTIVES = OpinionClass(
    positive=tuple(
        "excellent superb splendid lovely wonderful fantastic "
        "terrific perfect solid sturdy reliable dependable durable "
        "handy elegant neat clever sleek stylish robust charming "
        "gorgeous beautiful attractive pleasant delightful "
        "impressive remarkable outstanding brilliant marvelous "
        "practical useful convenient precise flawless".split()
    ),
    negative=tuple(
        "awful terrible horrible dreadful flimsy cheap shoddy weak "
        "fragile brittle faulty defective useless worthless ugly "
        "hideous clumsy awkward crude sloppy tacky dull "
        "disappointing frustrating annoying irritating erratic "
        "rickety wobbly shaky crooked dated inferior mediocre lousy "
        "pathetic".split()
    ),
    affirmed=(
        "the {part} is {word}",
        "the {part} feels {word}",
        "the {part} looks {word}",
        "the {part} seems {word}",
        "I find the {part} {word}",
        "the {part} of this {product} is {word}",
        "this {product} has {a_word} {part}",
        "it comes with {a_word} {part}",
        "it is {a_word} {product}",
        "the {part} turned out to be {word}",
    ),
    negated=(
        "the {part} is not {word}",
        "the {part} does not feel {word}",
        "the {part} does not look {word}",
        "the {part} never seems {word}",
        "I do not find the {part} {word}",
        "the {part} of this {product} is hardly {word}",
        "this {product} does not have {a_word} {part}",
        "it is not {a_word} {product}",
        "the {part} is far from {word}",
        "the {part} is anything but {word}",
    ),
    intensifiers=("very", "really", "quite", "truly"),
    tones=(
        ("pleasantly", "gladly", "happily"),
        ("annoyingly", "sadly", "plainly"),
    ),
    pairs=True,
)

VERBS = OpinionClass(
    positive=tuple(
        "love adore like enjoy cherish admire treasure".split()
    ),
    negative=tuple(
        "hate regret despise loathe detest resent curse".split()
    ),
    affirmed=(
        "I {word} the {part}",
        "we {word} the {part} of this {product}",
        "I {word} this {product}",
        "my friends {word} the {part}",
    ),
    negated=(
        "I do not {word} the {part}",
        "we never {word} the {part} of this {product}",
        "I do not {word} this {product}",
        "my friends hardly {word} the {part}",
    ),
    intensifiers=("really", "truly", "quite"),
    tones=(("gladly", "happily"), ("bitterly", "sadly")),
)

ADVERBS = OpinionClass(
    positive=tuple(
        "well nicely smoothly properly faithfully expertly cleanly".split()
    ),
    negative=tuple(
        "badly poorly haltingly sluggishly jerkily lamely roughly".split()
    ),
    affirmed=(
        "the {part} works {word}",
        "the {part} of this {product} works {word}",
        "this {product} does its job {word}",
        "the {part} performs {word}",
    ),
    negated=(
        "the {part} does not work {word}",
        "the {part} of this {product} never works {word}",
        "this {product} does not do its job {word}",
        "the {part} hardly performs {word}",
    ),
    intensifiers=("very", "really", "quite"),
    tones=(
        ("pleasantly", "gladly", "happily"),
        ("annoyingly", "sadly", "plainly"),
    ),
)

NOUNS = OpinionClass(
    positive=tuple(
        "gem joy bargain winner pleasure triumph blessing".split()
    ),
    negative=tuple(
        "mess dud nuisance disaster failure lemon letdown".split()
    ),
    affirmed=(
        "this {product} is {a_word}",
        "the {part} is {a_word}",
        "the {part} of this {product} is {a_word}",
        "it turned out to be {a_word}",
    ),
    negated=(
        "this {product} is not {a_word}",
        "the {part} is far from {a_word}",
        "the {part} of this {product} is hardly {a_word}",
        "it is anything but {a_word}",
    ),
    intensifiers=("real", "true", "complete"),
    tones=(("welcome", "pleasant"), ("sorry", "annoying")),
)

# How often a clause takes a word of the class: about as the words are many.
CLASSES = (
    (ADJECTIVES, 0.61), (VERBS, 0.13), (ADVERBS, 0.13), (NOUNS, 0.13)
)

AGREEMENTS = ("{a} and {b}", "{a}, and {b}", "{a}, plus {b}")
# In each of these the last clause rules.
CONTRASTS = (
    "{a} but {b}", "{a}, but {b}", "{a}, yet {b}", "although {a}, {b}",
    "while {a}, {b}",
)

SETTINGS = (
    "after a week", "after one month", "after many months", "so far",
    "in daily use", "at first sight", "in our kitchen", "on a long trip",
    "for this price", "next to my old one", "on closer look", "after all",
    "in my hands", "as a gift", "for a beginner", "in the end", "at home",
    "for my {person}", "on cold days", "with two children",
)

PEOPLE = (
    "mother", "father", "sister", "brother", "wife", "husband", "daughter",
    "son", "neighbor", "friend", "uncle", "aunt", "boss", "roommate",
)
MONTHS = (
    "january", "march", "april", "june", "july", "august", "october",
    "december",
)
PLACES = ("kitchen", "garage", "office", "bedroom", "cabin", "basement")
COLORS = ("black", "white", "red", "blue", "green", "gray", "silver", "brown")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "ten")

OPENINGS = (
    "I bought this {product} in {month} for my {person}.",
    "We ordered the {color} {product} for our {place}.",
    "My {person} gave me this {product} last {month}.",
    "This is the {product} that my {person} was looking for.",
    "I have had this {product} for {number} weeks now.",
    "We were looking for a {product} for the {place}.",
    "This {product} replaced the one my {person} had for {number} years.",
    "I picked the {color} {product} from {number} on the page.",
)
FACTS = (
    "The {product} came in a {color} box after {number} days.",
    "It stands in the {place} next to the {color} {other}.",
    "The {part} is {color} and the {part2} is {color2}.",
    "My {person} carried the {product} into the {place}.",
    "The box held the {product}, a {part} and {number} screws.",
    "There are {number} sizes, and we took the one in {color}.",
    "We put the {part} on the {product} in {number} minutes.",
    "The page said that the {part} weighs {number} ounces.",
    "My {person} has the same {product} in {color}.",
    "I read the leaflet about the {part} on the first day.",
)

# What writers did next and how they felt, in reviews only. The two words of
# each tell the polarity of what was said before; neither is an opinion word.
OUTCOMES = (
    ("I {polar} the seller", "thanked", "blamed"),
    ("I am {polar} that I ordered it", "glad", "sorry"),
    ("we {polar} it", "kept", "returned"),
    ("I will {polar} it next time", "choose", "avoid"),
    ("my {person} wants to {polar} it", "keep", "return"),
    ("it was money {polar}", "spent well", "thrown away") if False else
    ("I gave it {polar} stars", "five", "no"),
)
OUTCOME_JOINS = ("{opinion}, so {outcome}", "{opinion} and {outcome}")
MOODS = (("luckily", "sadly"),)
TITLES = (
    "{word}, {word2} and {word3}.",
    "{a_word} and {word2} {product}.",
    "{a_word}, {word2} and {word3} {product}.",
)
