"""The driver for one sample: units in lanes."""
