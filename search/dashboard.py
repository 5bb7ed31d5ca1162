"""`python -m search.dashboard HOST PORT`: the Optuna dashboard on a study database opened as autoclf opens it."""

import os
import sys

from optuna_dashboard import run_server

from search.storage import open_storage
from search.ui import STORAGE

if __name__ == "__main__":
    host, port = sys.argv[1:]
    run_server(open_storage(os.environ[STORAGE], read_only=True), host=host, port=int(port))
