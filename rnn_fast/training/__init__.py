"""Training: the loop over epochs and what belongs to it."""
