"""Optimizers: settings, and compiled updates."""
