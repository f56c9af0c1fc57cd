"""The step, the loop around it, the optimizer and the strategy."""
