"""The driver for few samples: units in lanes."""
