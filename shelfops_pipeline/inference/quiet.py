"""Import Keras without TensorFlow's start-up chatter, which would bury what a command has to say."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def import_keras() -> Any:
    """The keras module, its backend loaded. Errors are raised as ever; only what TensorFlow prints is dropped."""
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _stderr_dropped():  # before it reads that variable, TensorFlow writes straight to the descriptor
            import keras
            import tensorflow as tf
        tf.get_logger().setLevel("ERROR")
    import keras

    return keras


@contextmanager
def _stderr_dropped() -> Iterator[None]:
    sys.stderr.flush()
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
