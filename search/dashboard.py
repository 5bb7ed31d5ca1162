"""`python -m search.dashboard URL HOST PORT`: the Optuna dashboard on a study database opened as autoclf opens it."""

import sys

from optuna_dashboard import run_server

from search.storage import open_storage

if __name__ == "__main__":
    url, host, port = sys.argv[1:]
    run_server(open_storage(url, read_only=True), host=host, port=int(port))
