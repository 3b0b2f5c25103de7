"""The command line: ``rnn-fast train``, ``predict``, ``study`` and ``bench``."""
