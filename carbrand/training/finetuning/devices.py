"""Where fine-tuning computes: processor threads, GPUs, and the precision of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from carbrand.node.errors import UserError
from carbrand.training.finetuning.settings import FinetuneParams


def set_threads(threads: int) -> None:
    """Compute with so many threads, whatever the number of cores: sums depend on it.

    Call it before TensorFlow has computed anything. Raises UserError after that.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(2)  # one for the photos
    except RuntimeError:
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            raise UserError("finetune.threads cannot change while TensorFlow runs.") from None


def distribute() -> Any:
    """A tf.distribute strategy over all GPUs (or logical processors), each with a share of a batch.

    Where there is one device, the strategy that does nothing.
    """
    import tensorflow as tf

    for kind in ("GPU", "CPU"):
        devices = tf.config.list_logical_devices(kind)
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy([device.name for device in devices])
        if devices:
            break
    return tf.distribute.get_strategy()


def dtype_policy(precision: str) -> str:
    """The Keras dtype policy for `finetune.precision`: auto is mixed_float16 on a GPU."""
    import tensorflow as tf

    if precision == "auto":
        return "mixed_float16" if tf.config.list_physical_devices("GPU") else "float32"
    return precision


@contextmanager
def memory_explained(params: FinetuneParams) -> Iterator[None]:
    """Raise UserError where TensorFlow or NumPy gets no memory inside the block."""
    import tensorflow as tf

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise UserError(
            f"finetune: there is not enough memory for steps of {params.batch_size} photos of "
            f"{max(params.size_px, params.predict_px)} px. Halve finetune.batch_size, or lower "
            f"finetune.size_px and finetune.predict_px."
        ) from None
