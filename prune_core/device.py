"""Where a process computes: how many threads, which GPU, how much of it."""

import tensorflow as tf

_placed: tuple[float, int, int | None] | None = None


def configure(gpus: float, cpus: int, memory_mb: int | None = None) -> str:
    """Place this process's work; call it before TensorFlow's first operation.

    Args:
        gpus: GPUs or fraction of one that the process may use; 0 hides them all.
        cpus: threads of one operation and operations at a time, >= 1.
        memory_mb: GPU memory in MiB that the process may take; None: it grows with need.

    Returns:
        What was chosen, for a log line: "CPU, 2 threads" or "GPU, 2 threads, at most 4096 MiB".

    Raises:
        RuntimeError: this process is placed otherwise already, TensorFlow has started, or there is no GPU to use.

    The same request again does nothing: a warm worker may call this before every trial.
    """
    global _placed
    request = (gpus, cpus, memory_mb)
    if _placed is not None and _placed != request:
        raise RuntimeError(
            f"this process is placed with gpus, cpus, memory_mb = {_placed}, not {request}: use another one"
        )
    found = tf.config.list_physical_devices("GPU")
    if gpus > 0 and not found:
        raise RuntimeError(
            f"{gpus:g} GPUs are wanted but TensorFlow sees none: set gpus_per_trial to 0 or install its GPU build"
        )
    description = _describe(request)
    if _placed == request:
        return description
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
        tf.config.threading.set_inter_op_parallelism_threads(cpus)
        if gpus <= 0:
            tf.config.set_visible_devices([], "GPU")
        for gpu in found if gpus > 0 else []:
            _limit(gpu, memory_mb)
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow has started before this process was placed: call configure first ({error})"
        ) from error
    _placed = request
    return description


def _limit(gpu: "tf.config.PhysicalDevice", memory_mb: int | None) -> None:
    """Without a limit TensorFlow takes the whole GPU, and a second trial on it fails."""
    if memory_mb is None:
        tf.config.experimental.set_memory_growth(gpu, True)
    else:
        tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=memory_mb)])


def _describe(request: tuple[float, int, int | None]) -> str:
    gpus, cpus, memory_mb = request
    threads = f"{cpus} thread{'s' if cpus != 1 else ''}"
    if gpus <= 0:
        return f"CPU, {threads}"
    return f"GPU, {threads}" + (f", at most {memory_mb} MiB" if memory_mb is not None else "")
