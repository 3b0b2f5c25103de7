"""The names of the losses."""

from __future__ import annotations

LOSSES = ("bce", "cross_entropy", "mse", "huber", "mae")


CLASSIFIES = ("bce", "cross_entropy")  #: losses whose models tell classes apart
