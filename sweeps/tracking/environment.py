"""Settings of MLflow that are made in the environment."""

import os

# The tracker repeats requests. One that MLflow repeats by itself after a lost answer would make a second run.
_FORCED = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}


def prepare_environment() -> None:
    """Settings that MLflow reads while it is imported or called. Call before the first import of it."""
    os.environ.update(_FORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
