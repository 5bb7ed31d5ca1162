"""How the command's process ends."""

import subprocess
import sys

import pytest

ENDING = """
import atexit, sys
import autoclf.__main__ as command

def main():
    atexit.register(print, "farewell")
    {end}

command.main = main
command.start()
"""


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("return", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit('no data')", 1, "no data"),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_the_code_the_message_and_the_exit_functions_survive_the_quick_end(
    end: str, code: int, told: str, python_environment: dict[str, str]
) -> None:
    script = ENDING.format(end=end)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=python_environment, check=False
    )
    assert ended.returncode == code
    assert ended.stdout == "farewell\n"
    assert told in ended.stderr
