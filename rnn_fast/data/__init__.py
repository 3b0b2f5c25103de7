"""From what the user holds to rows of memory: reading, checking, blocks."""
