"""The switches of MLflow that autoclf sets before MLflow is loaded."""

import os

SWITCHES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # else a dead server holds each call for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def set_switches() -> None:
    """Set what the user has not set."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
