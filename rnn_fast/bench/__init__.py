"""How fast this machine trains, and its PyTorch, JAX, Keras and NumPy: ``rnn-fast bench``.

`rows` says what is trained, `problems` draws it, `peers` train it too. `checks` holds everyone to
the `textbook` before `contenders` sends them into `timing`. All of that happens in a `worker`, a
process of its own, which `run` starts with the limits of threads in its environment and pins to one
core; `results` are what it hands back, for `plot`, and for the `report` of a run's `tables` or of
several `runs`. The subjects are `steps`, `ragged`, `adding` and `threads`. Importing this package
imports none of them.
"""
