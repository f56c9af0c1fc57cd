"""Activations, LayerNorm, dropout, initialization against numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.modeling import activations
from pd_tf.modeling import dropout
from pd_tf.modeling import initialization
from pd_tf.modeling import normalization

X = np.random.default_rng(0).normal(0, 2, (5, 7)).astype(np.float32)


def _numeric_gradient(function, x, upstream):
  """Central differences of sum(function(x) upstream), in float64."""
  x = x.astype(np.float64)
  gradient = np.zeros_like(x)
  for index in np.ndindex(x.shape):
    step = np.zeros_like(x)
    step[index] = 1e-5
    change = function(x + step) - function(x - step)
    gradient[index] = (change * upstream).sum() / 2e-5
  return gradient


def _gelu_tanh(x):
  return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def test_gelu_at_one():
  # 0.5 (1 + tanh(0.79788456 x 1.044715)) and Phi(1).
  assert float(activations.gelu_tanh(tf.constant(1.0))) == pytest.approx(
      0.841192, abs=1e-6
  )
  assert float(activations.gelu_erf(tf.constant(1.0))) == pytest.approx(
      0.841345, abs=1e-6
  )


def test_gelu_tanh_and_its_gradient():
  x, upstream = tf.constant(X), np.cos(X)
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = activations.gelu_tanh(x)
  np.testing.assert_allclose(y, _gelu_tanh(X), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(
      tape.gradient(y, x, upstream),
      _numeric_gradient(_gelu_tanh, X, upstream), rtol=1e-4, atol=1e-5,
  )


def test_layer_norm_and_its_gradients():
  gamma, beta = np.linspace(0.5, 2, 7), np.linspace(-1, 1, 7)
  upstream = np.sin(X).astype(np.float64)

  def norm(x, gamma=gamma, beta=beta):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)
    return gamma * centred / scale + beta

  tensors = [tf.constant(a, tf.float32) for a in (X, gamma, beta)]
  with tf.GradientTape() as tape:
    tape.watch(tensors)
    y = normalization.layer_norm(*tensors, epsilon=1e-3)
  got = tape.gradient(y, tensors, tf.constant(upstream, tf.float32))
  np.testing.assert_allclose(y, norm(X), rtol=1e-4, atol=1e-5)
  for tensor, expected in zip(
      got,
      (
          _numeric_gradient(norm, X, upstream),
          _numeric_gradient(lambda g: norm(X, gamma=g), gamma, upstream),
          _numeric_gradient(lambda b: norm(X, beta=b), beta, upstream),
      ),
      strict=True,
  ):
    np.testing.assert_allclose(tensor, expected, rtol=1e-3, atol=1e-4)


def test_dropout_rate_and_scale():
  x = tf.ones([200, 200])
  out = dropout.dropout(x, 0.25, tf.constant([3, 4]), site=1).numpy()
  assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
  # 40,000 draws: the standard deviation of the share is 0.2 %.
  assert (out == 0).mean() == pytest.approx(0.25, abs=0.01)
  other = dropout.dropout(x, 0.25, tf.constant([3, 4]), site=2).numpy()
  # Independent places agree on 0.25^2 + 0.75^2 = 0.625 of the entries.
  assert (out == other).mean() == pytest.approx(0.625, abs=0.01)


def test_no_dropout_without_a_seed_or_rate():
  x = tf.ones([3])
  assert dropout.dropout(x, 0.5, None, site=0) is x
  assert dropout.dropout(x, 0.0, tf.constant([0, 0]), site=0) is x


def test_random_weights_are_a_cut_normal():
  like = {
      "a/kernel": np.zeros((100, 100)), "a/bias": np.zeros(3),
      "b/LayerNorm/gamma": np.zeros(3),
  }
  drawn = initialization.random_weights(like, 0.02, seed=5)
  assert np.abs(drawn["a/kernel"]).max() <= 0.04
  # A normal cut at two deviations keeps 0.880 of the deviation.
  assert drawn["a/kernel"].std() == pytest.approx(0.0176, rel=0.03)
  np.testing.assert_array_equal(drawn["a/bias"], 0)
  np.testing.assert_array_equal(drawn["b/LayerNorm/gamma"], 1)


def test_random_weights_follow_from_seed_and_name():
  kernel = {"k": np.zeros((4, 4))}
  first = initialization.random_weights(kernel, 1.0, seed=1)["k"]
  more = initialization.random_weights(
      {"other": np.zeros(9), **kernel}, 1.0, seed=1
  )["k"]
  np.testing.assert_array_equal(first, more)
  other = initialization.random_weights(kernel, 1.0, seed=2)["k"]
  assert not np.array_equal(first, other)
