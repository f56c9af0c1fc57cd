"""Runs in TensorFlow 2.15 with tensorflow-hub 0.15, which has no pd_tf.

  python tf1_peer.py COMMAND DIRECTORY

The directory has `settings.json`, and `inputs.npz` with input_ids, input_mask,
segment_ids and mlm_positions. Results go into `outputs.npz`.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_hub as hub

STEPS = 5
LABELS = [0, 1, 0]
SCOPE = "bert/embeddings"


def apply(directory, inputs, settings):
  """Runs every signature of the module `settings["module"]`.

  Args:
    directory: Unused.
    inputs: Arrays by name.
    settings: Those of the test.

  Returns:
    Arrays named SIGNATURE/OUTPUT without tags, and train/FIRST and
    train/SECOND, pooled_output of two runs of the graph with dropout; those of
    the variables as variables/NAME.
  """
  del directory
  results = {}
  with tf.Graph().as_default(), tf.Session() as session:
    module = hub.Module(settings["module"])
    results["signatures"] = sorted(module.get_signature_names())
    for signature in module.get_signature_names():
      names = module.get_input_info_dict(signature)
      outputs = module(
          {name: tf.constant(inputs[name]) for name in names},
          signature=signature, as_dict=True,
      )
      session.run(tf.global_variables_initializer())
      for name, value in session.run(outputs).items():
        results[f"{signature}/{name}"] = value
    for name, value in session.run(module.variable_map).items():
      results[f"variables/{name}"] = value
    results["num_trainable"] = len(tf.trainable_variables())
  with tf.Graph().as_default(), tf.Session() as session:
    pooled = pooled_output(
        hub.Module(settings["module"], tags={"train"}), inputs
    )
    session.run(tf.global_variables_initializer())
    results["train/first"] = session.run(pooled)
    results["train/second"] = session.run(pooled)
    results["train/num_trainable"] = len(tf.trainable_variables())
  return results


def tune(directory, inputs, settings):
  """Fine-tunes the module and writes it, as `tuned`, with hub.Module.export.

  Args:
    directory: Where to.
    inputs: Arrays by name.
    settings: Those of the test.

  Returns:
    `losses` of each step; `unused`, the variables without a gradient; and the
    variables as they were exported, as variables/NAME.
  """
  with tf.Graph().as_default(), tf.Session() as session:
    module = hub.Module(
        settings["module"], trainable=True, tags=set(settings["tags"])
    )
    pooled = pooled_output(module, inputs)
    kernel = tf.get_variable(
        "kernel", [pooled.shape[-1], 2], initializer=tf.ones_initializer()
    )
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=LABELS, logits=tf.matmul(pooled, kernel)
        )
    )
    optimizer = tf.train.GradientDescentOptimizer(0.01)
    gradients = optimizer.compute_gradients(loss)
    step = optimizer.apply_gradients(gradients)
    session.run(tf.global_variables_initializer())
    losses = [session.run([loss, step])[0] for _ in range(STEPS)]
    module.export(str(directory / "tuned"), session)
    variables = session.run(module.variable_map)
  unused = [variable.op.name for slope, variable in gradients if slope is None]
  return {
      "losses": losses,
      "unused": unused,
      **{f"variables/{name}": value for name, value in variables.items()},
  }


def write(directory, inputs, settings):
  """Writes `written`, a module of random weights, and runs it.

  Args:
    directory: Where to; has `vocab.txt`.
    inputs: Arrays by name.
    settings: num_layers, hidden_size, num_heads, vocab_size, max_positions,
      activation; and `nested`, whether the module wraps another.

  Returns:
    What the module computes, and its variables as variables/NAME.
  """
  vocab_path = str(directory / "vocab.txt")

  def module_fn():
    build(settings, vocab_path)

  def wrapping_fn():
    wrap(hub.create_module_spec(module_fn))

  spec = hub.create_module_spec(
      wrapping_fn if settings["nested"] else module_fn
  )
  with tf.Graph().as_default(), tf.Session() as session:
    module = hub.Module(spec)
    outputs = tokens(module, inputs)
    tf.set_random_seed(3)
    generator = np.random.default_rng(3)
    for name, variable in sorted(module.variable_map.items()):
      mean = float(name.endswith("gamma"))
      value = generator.normal(mean, 0.3, variable.shape)
      session.run(variable.assign(value.astype(np.float32)))
    module.export(str(directory / "written"), session)
    variables = session.run(module.variable_map)
    return {
        **session.run(outputs),
        **{f"variables/{name}": value for name, value in variables.items()},
    }


def tokens(module, inputs):
  """Returns the outputs of the signature `tokens`."""
  names = ("input_ids", "input_mask", "segment_ids")
  return module(
      {name: tf.constant(inputs[name]) for name in names},
      signature="tokens", as_dict=True,
  )


def pooled_output(module, inputs):
  """Returns the output of that name, [B, H]."""
  return tokens(module, inputs)["pooled_output"]


def build(settings, vocab_path):
  """Makes the graph of a BERT with google-research/bert's variables."""
  ids, mask, types = (
      tf.placeholder(tf.int32, [None, None], name)
      for name in ("input_ids", "input_mask", "segment_ids")
  )
  hidden = settings["hidden_size"]
  words = table("word_embeddings", settings["vocab_size"], hidden)
  places = table("position_embeddings", settings["max_positions"], hidden)
  kinds = table("token_type_embeddings", 2, hidden)
  x = tf.gather(words, ids) + tf.gather(kinds, types)
  x = layer_norm(f"{SCOPE}/LayerNorm", x + places[: tf.shape(ids)[1]])
  bias = (1.0 - tf.cast(mask, tf.float32)[:, None, None]) * -10000.0
  for index in range(settings["num_layers"]):
    x = layer(f"bert/encoder/layer_{index}", settings, x, bias)
  pooled = tf.tanh(dense("bert/pooler/dense", x[:, 0], hidden))
  # In the variables of no signature, as optimizers and other heads are.
  tf.get_variable("global_step", [], initializer=tf.zeros_initializer())
  vocab_file = tf.constant(vocab_path, name="vocab_file")
  tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, vocab_file)
  hub.add_signature(
      "tokens",
      dict(input_ids=ids, input_mask=mask, segment_ids=types),
      dict(pooled_output=pooled, sequence_output=x),
  )
  hub.add_signature(
      "tokenization_info", {},
      dict(vocab_file=vocab_file, do_lower_case=tf.constant(False)),
  )


def wrap(spec):
  """Makes a graph that passes the signatures of another module on."""
  module = hub.Module(spec, name="module")
  inputs = {
      name: tf.placeholder(tf.int32, [None, None], name)
      for name in ("input_ids", "input_mask", "segment_ids")
  }
  hub.add_signature(
      "tokens", inputs, module(inputs, signature="tokens", as_dict=True)
  )
  hub.add_signature(
      "tokenization_info", {},
      module(signature="tokenization_info", as_dict=True),
  )


def layer(scope, settings, x, bias):
  """Returns the output of a layer, [B, S, H]."""
  hidden, heads = settings["hidden_size"], settings["num_heads"]
  shape = tf.shape(x)

  def split(part):
    vectors = dense(f"{scope}/attention/self/{part}", x, hidden)
    sizes = [shape[0], shape[1], heads, hidden // heads]
    return tf.transpose(tf.reshape(vectors, sizes), [0, 2, 1, 3])

  scores = tf.matmul(split("query"), split("key"), transpose_b=True)
  scores = scores / np.sqrt(hidden // heads).astype(np.float32) + bias
  context = tf.matmul(tf.nn.softmax(scores), split("value"))
  context = tf.transpose(context, [0, 2, 1, 3])
  context = tf.reshape(context, [shape[0], shape[1], hidden])
  out = dense(f"{scope}/attention/output/dense", context, hidden)
  x = layer_norm(f"{scope}/attention/output/LayerNorm", x + out)
  inner = dense(f"{scope}/intermediate/dense", x, 3 * hidden)
  inner = GELUS[settings["activation"]](inner)
  out = dense(f"{scope}/output/dense", inner, hidden)
  return layer_norm(f"{scope}/output/LayerNorm", x + out)


def gelu(x):
  """Returns the tanh form of GELU (google-research/bert)."""
  return 0.5 * x * (1 + tf.tanh(0.7978845608 * (x + 0.044715 * tf.pow(x, 3))))


def gelu_erf(x):
  """Returns GELU."""
  return 0.5 * x * (1 + tf.math.erf(x / 1.4142135624))


GELUS = {"gelu": gelu, "gelu_erf": gelu_erf}


def table(name, rows, hidden):
  """Returns a table of embeddings."""
  return tf.get_variable(f"{SCOPE}/{name}", [rows, hidden])


def dense(scope, x, size):
  """Returns x W + b."""
  kernel = tf.get_variable(f"{scope}/kernel", [x.shape[-1], size])
  return tf.tensordot(x, kernel, 1) + tf.get_variable(f"{scope}/bias", [size])


def layer_norm(scope, x):
  """Returns x with mean 0 and variance 1, scaled and shifted."""
  mean, variance = tf.nn.moments(x, [-1], keepdims=True)
  gamma = tf.get_variable(f"{scope}/gamma", [x.shape[-1]])
  beta = tf.get_variable(f"{scope}/beta", [x.shape[-1]])
  return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)


COMMANDS = {"apply": apply, "tune": tune, "write": write}

if __name__ == "__main__":
  tf.disable_eager_execution()
  place = pathlib.Path(sys.argv[2])
  found = COMMANDS[sys.argv[1]](
      place,
      dict(np.load(place / "inputs.npz")),
      json.loads((place / "settings.json").read_text(encoding="utf-8")),
  )
  np.savez(place / "outputs.npz", **found)
