"""Losses: formulas in NumPy, and compiled."""
