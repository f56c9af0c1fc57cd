"""Anything that turns texts into logits."""
