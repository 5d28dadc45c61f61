"""Tests of one backend run where it is the backend of the process: see test_backends.py."""

import keras

collect_ignore_glob = [
    f"*_{backend}.py" for backend in ("jax", "tensorflow", "torch") if backend != keras.backend.backend()
]
