"""AdamW with BERT's schedule, from tf-models-official."""

from official.modeling import optimization
import tf_keras

from pd_tf.config import train as train_config

# BERT decays neither biases nor LayerNorm (google-research/bert,
# run_pretraining.py and optimization.py).
_NOT_DECAYED = ["bias", "gamma", "beta"]


def create(
    config: train_config.OptimizerConfig, train_steps: int
) -> tf_keras.optimizers.Optimizer:
  """Returns the optimizer of a run of `train_steps` updates.

  The learning rate rises linearly over the warm-up and falls linearly to zero
  at the end, as if it had fallen from step 0 (google-research/bert). The
  caller clips gradients: the norm must be that of all replicas' sum.
  """
  warmup_steps = config.warmup_steps
  if warmup_steps is None:
    warmup_steps = train_steps // 10
  factory = optimization.OptimizerFactory(
      optimization.OptimizationConfig({
          "optimizer": {
              "type": "adamw",
              "adamw": {
                  "beta_1": config.beta_1,
                  "beta_2": config.beta_2,
                  "epsilon": config.epsilon,
                  "weight_decay_rate": config.weight_decay,
                  "exclude_from_weight_decay": _NOT_DECAYED,
                  "gradient_clip_norm": 0.0,
              },
          },
          "learning_rate": {
              "type": "polynomial",
              "polynomial": {
                  "initial_learning_rate": config.learning_rate,
                  "end_learning_rate": 0.0,
                  "decay_steps": train_steps,
              },
          },
          "warmup": {
              "type": "linear",
              "linear": {"warmup_steps": max(1, warmup_steps)},
          },
      })
  )
  return factory.build_optimizer(factory.build_learning_rate())
