"""The batch driver: samples in lanes."""
