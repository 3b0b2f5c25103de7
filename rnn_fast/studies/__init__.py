"""Studies: many models trained on the same data, in one call."""
