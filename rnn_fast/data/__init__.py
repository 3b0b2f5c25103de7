"""Reading of data, checks of it, and its layout as rows of memory."""
