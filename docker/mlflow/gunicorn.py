"""Gunicorn's settings of the MLflow server.

MLflow takes the key that signs sessions from its environment. It is set here, inside the process: the variables that
a process was started with can be read from outside. Gunicorn serves MLflow's Flask application, without an Assistant.
"""

import os
from pathlib import Path

os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = Path(os.environ["FLASK_SECRET_KEY_FILE"]).read_text().strip()

worker_class = "gthread"
threads = 8
timeout = 300  # seconds; a large artifact goes through one request
