"""Weights through chains of formats: bit-exact in what each of them carries."""

import dataclasses

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from pd_tf import writing
from pd_tf.config import encoder
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import detect
from pd_tf.modeling import miniatures
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(20)))
TASK = pretrained.TaskHead("classification", ("bad", "good", "né"), 2)
QUICK = ("release", "hugging_face", "model_garden", "tf1_hub")
ALL = (*QUICK, "tfhub", "keras_hub")


def model(config, parts, lower_case=True):
  """Returns a model of random weights with the parts named."""
  task = TASK if canonical.TASK in parts else None
  groups = canonical.groups(config, len(task.label_names) if task else 0)
  generator = np.random.default_rng(5)
  return pretrained.Pretrained(
      encoder=config,
      weights={
          name: generator.standard_normal(shape).astype(np.float32)
          for part in (canonical.ENCODER, canonical.POOLER, *parts)
          for name, shape in groups[part].items()
      },
      vocabulary=ENTRIES,
      lower_case=lower_case,
      task=task,
  )


def tiny(**changes):
  return encoder.EncoderConfig(**{
      "num_layers": 1, "hidden_size": 8, "head_size": 4,
      "vocab_size": len(ENTRIES), "max_positions": 6, **changes,
  })  # fmt: skip


def carried(form, given):
  """Returns the model as a format keeps it."""
  groups = canonical.groups(
      given.encoder, len(given.task.label_names) if given.task else 0
  )
  present = [
      part for part, shapes in groups.items()
      if shapes.keys() <= given.weights.keys()
  ]
  kept = writing.WEIGHT_FORMATS[form].carried(present)
  names = {name for part in kept for name in groups[part]}
  return dataclasses.replace(
      given,
      weights={n: w for n, w in given.weights.items() if n in names},
      task=given.task if canonical.TASK in kept else None,
  )


def assert_same(got, expected):
  assert got.encoder.feed_forward_size == expected.encoder.feed_forward_size
  assert dataclasses.replace(
      got.encoder, intermediate_size=None
  ) == dataclasses.replace(expected.encoder, intermediate_size=None)
  assert got.vocabulary == expected.vocabulary
  assert got.lower_case == expected.lower_case
  assert got.task == expected.task
  assert got.weights.keys() == expected.weights.keys()
  for name, array in expected.weights.items():
    assert got.weights[name].dtype == np.float32
    assert got.weights[name].tobytes() == array.tobytes(), name


def through(form, given, directory, number=0):
  path = directory / f"{number}_{form}"
  writing.write_model(given, path, writing.Request(form))
  assert detect.detect(path) == form
  return detect.read(path)


HEADS = [
    [],
    [canonical.MASKED_LM],
    [canonical.MASKED_LM, canonical.NEXT_SENTENCE],
    [canonical.TASK],
    [canonical.MASKED_LM, canonical.NEXT_SENTENCE, canonical.TASK],
]


@pytest.mark.parametrize("parts", HEADS, ids="-".join)
@pytest.mark.parametrize("form", ALL)
def test_there_and_back(tmp_path, form, parts):
  given = model(tiny(), parts)
  assert_same(through(form, given, tmp_path), carried(form, given))


@pytest.mark.parametrize(
    "kind,names,texts",
    [("regression", ("score",), 2), ("classification", ("0", "1"), 1)],
)
@pytest.mark.parametrize(
    "form", ["release", "hugging_face", "model_garden", "keras_hub"]
)
def test_a_task_keeps_its_meaning(tmp_path, form, kind, names, texts):
  given = model(tiny(), [])
  head = pretrained.TaskHead(kind, names, texts)
  weights = {
      canonical.TASK_WEIGHTS: np.ones((len(names), 8), np.float32),
      canonical.TASK_BIAS: np.zeros(len(names), np.float32),
  }
  given = dataclasses.replace(
      given, task=head, weights={**given.weights, **weights}
  )
  assert_same(through(form, given, tmp_path), given)


@pytest.mark.parametrize("form", ALL)
def test_odd_settings_survive(tmp_path, form):
  config = tiny(
      num_layers=2, hidden_size=12, head_size=3, intermediate_size=10,
      type_vocab_size=3, hidden_dropout=0.0, attention_dropout=0.25,
      initializer_range=0.5,
  )  # fmt: skip
  if form != "keras_hub":
    # Which computes one activation and one epsilon, and refuses the others.
    config = dataclasses.replace(
        config, hidden_act="gelu_erf", layer_norm_epsilon=1e-6
    )
  given = model(config, [canonical.MASKED_LM], lower_case=False)
  assert_same(through(form, given, tmp_path), carried(form, given))


# Each example writes and reads several models.
@hypothesis.settings(max_examples=10)
@hypothesis.given(
    chain=strategies.lists(
        strategies.sampled_from(QUICK), min_size=2, max_size=4
    ),
    parts=strategies.sampled_from(HEADS),
    layers=strategies.integers(1, 3),
    heads=strategies.integers(1, 3),
    head_size=strategies.integers(1, 5),
    intermediate=strategies.none() | strategies.integers(1, 20),
    lower_case=strategies.booleans(),
)
def test_any_chain(
    tmp_path_factory, chain, parts, layers, heads, head_size, intermediate,
    lower_case,
):  # fmt: skip
  config = tiny(
      num_layers=layers, hidden_size=heads * head_size, head_size=head_size,
      intermediate_size=intermediate,
  )
  given = model(config, parts, lower_case)
  directory = tmp_path_factory.mktemp("chain")
  for number, form in enumerate(chain):
    expected = carried(form, given)
    given = through(form, given, directory, number)
    assert_same(given, expected)


def test_a_chain_of_all(tmp_path):
  given = model(tiny(), [canonical.MASKED_LM, canonical.NEXT_SENTENCE])
  for number, form in enumerate((*ALL, *reversed(ALL))):
    expected = carried(form, given)
    given = through(form, given, tmp_path, number)
    assert_same(given, expected)
  assert len(given.weights) == 5 + 16 + 2 + 5


def miniature(config, form, directory):
  config = dataclasses.replace(
      config, vocab_size=len(ENTRIES), max_positions=8
  )
  given = model(config, [canonical.MASKED_LM, canonical.NEXT_SENTENCE])
  assert_same(through(form, given, directory), carried(form, given))


def size(config):
  return f"{config.num_layers}/{config.hidden_size}"


@pytest.mark.parametrize("config", [
    # Two thirds of all the weights are in the six of the last column.
    pytest.param(config, marks=pytest.mark.slow, id=size(config))
    if config.hidden_size == 768 else pytest.param(config, id=size(config))
    for config in miniatures.configs()
])  # fmt: skip
def test_miniatures_in_the_released_form(tmp_path, config):
  miniature(config, "release", tmp_path)


# Each size once, in turn, in each of the other forms; the largest in all.
OTHERS = [form for form in ALL if form != "release"]
IN_TURN = [
    (config, OTHERS[index % len(OTHERS)])
    for index, config in enumerate(miniatures.configs()[:-1])
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config,form",
    [*IN_TURN, *((miniatures.configs()[-1], form) for form in OTHERS)],
    ids=lambda value: value if isinstance(value, str) else size(value),
)
def test_miniatures_in_other_forms(tmp_path, config, form):
  miniature(config, form, tmp_path)
