"""Parts of the gate: the two sides, the rounds of measuring, and the verdict from the files."""
