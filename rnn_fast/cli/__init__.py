"""The command line: ``rnn-fast train``, ``rnn-fast predict`` and ``rnn-fast bench``."""
