"""Losses: pure functions from logits to unreduced terms."""
