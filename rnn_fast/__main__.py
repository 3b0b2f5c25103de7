"""`python -m rnn_fast`."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
