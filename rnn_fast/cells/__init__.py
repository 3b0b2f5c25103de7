"""Cells: what each is, in `specs`, and its compiled maths, in `kernels`."""
