"""Training and streams in NumPy, PyTorch, JAX, Keras and onnxruntime, as experts would write them.

**Training.** The peers train the network of a `rows.Row`: layers of tanh, GRU or LSTM cells from a
zero state. The logits are ``Why h_T + by``, or ``Why h_t + by`` at every step. Training is exact
BPTT and plain SGD on the mean binary cross-entropy. The modules have two functions:

``ways(problem, quick)``
    Returns implementations of an epoch by name, each with one update per batch of ``problem.x``, in
    order. The fastest one counts. An empty dictionary means that the peer does not take part.
    `quick` leaves out implementations that compile slowly.
``loss_and_gradients(row, params, x (B, T, I), y (B, O) or (B, T, O))``
    Returns the mean loss and its gradients by name, which are checked before timing.

Data is put into the layout that suits a framework best before the timing starts.

**Streams.** The peers compute the logits of one sequence, whose next steps come with each call. The
network has one layer. The modules have one function:

``streams(row, params, quick)``
    Returns implementations of a call by name, each with a state of its own, at first zero. A call
    takes the next ``row.T`` steps (T, I) and returns their logits (T, 1), both NumPy arrays. If T
    is 1, it takes (I,) and returns (1,).

**One thread.** Libraries read the limits of `ONE_THREAD` when they start. The process that imports
these modules therefore has them in its environment from the start. JAX (0.10) documents no such
limit. With ``--xla_cpu_multi_thread_eigen=false`` and ``intra_op_parallelism_threads=1`` in
``XLA_FLAGS``, a product still keeps two cores busy. ``PJRT_NPROC=1`` limits its pool to one thread.
Pinning the process to one core before the import does the same.
"""

ONE_THREAD = {
    "RNN_FAST_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PJRT_NPROC": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # else compiler processes run beside the timing
}

#: Modules of the peers, by the peers' names in a report.
PEERS = {
    "JAX": "jax_rnn",
    "PyTorch": "torch_rnn",
    "Keras": "keras_rnn",
    "onnxruntime": "onnx_rnn",
    "NumPy": "numpy_rnn",
}
#: Peers of each subject.
TAKE_PART = {
    "grid": ("JAX", "PyTorch", "Keras", "NumPy"),
    "ladder": ("JAX", "PyTorch", "Keras", "NumPy"),
    "online": ("JAX", "PyTorch", "NumPy"),  # Keras takes a hundred times as long
    "stream": ("JAX", "PyTorch", "onnxruntime", "NumPy"),
    "ragged": ("PyTorch",),
    "adding": ("PyTorch",),
    "threads": (),
}
