"""Kinds of a record's fields, as its annotations name them.

Python fills a record with numbers and addresses; `simd.load_record` reads the annotations and makes
typed pointers of the addresses.  An address of 0 stands for nothing.
"""

from __future__ import annotations

from typing import TypeAlias

Reals: TypeAlias = int  #: address of numbers of the network's dtype
Doubles: TypeAlias = int  #: address of float64
Ints: TypeAlias = int  #: address of int64
