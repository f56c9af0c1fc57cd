"""Texts, segments, tasks and transfer sets, as arrays and tf.data."""
