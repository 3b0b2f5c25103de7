"""Cells: a declaration of each in `specs`, its compiled maths in `kernels`."""
