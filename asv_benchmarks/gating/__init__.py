"""The gate's parts: the two sides, the rounds of measuring, and what follows from the files."""
