"""The gate's parts: the two sides, the rounds of measuring them, and what follows from the files."""
