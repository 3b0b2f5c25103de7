"""Declarations of the cells."""
