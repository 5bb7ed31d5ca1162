"""`autoclf reproduce`: the same weights on the same machine, and what is told where they are not."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import safetensors.numpy

from tests.command import Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MISTAKE, OTHERWISE, INTERRUPTED = 2, 3, 130


def test_a_promoted_model_is_reproduced_bit_for_bit(promoted: Desk) -> None:
    done = promoted.run("reproduce", "tiny@champion")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny@champion was reproduced bit for bit: all weights are the same.\n"
    assert not list(promoted.store.rglob("reproduced/*")), "nothing is left"


def test_a_trial_without_a_refit_is_reproduced_bit_for_bit(promoted: Desk) -> None:
    done = promoted.run("reproduce", "tiny:0")

    assert done.returncode == 0, done.stderr
    assert "bit for bit" in done.stdout


def test_other_weights_are_told_with_what_they_answer(promoted: Desk, tmp_path: Path, template: Path) -> None:
    other = make_desk(tmp_path, template=template)
    shutil.rmtree(other.store)
    shutil.copytree(promoted.store, other.store)
    for path in (other.store / "jobs" / "tiny" / "0").glob("**/weights.safetensors"):
        weights = safetensors.numpy.load_file(path)
        name = max(weights, key=lambda name: weights[name].size)
        weights[name] = weights[name] + 1e-3
        safetensors.numpy.save_file(weights, path)

    done = other.run("reproduce", "tiny:0")

    assert done.returncode == OTHERWISE
    assert "was not reproduced bit for bit: weights differ by up to 0.001. Of " in done.stdout
    assert "Versions are the same" in done.stdout


def test_an_interrupted_one_goes_on(slow_desk: Desk) -> None:
    assert slow_desk.run("train", "--space", "tiny.yaml", "--study", "one").returncode == 0
    with subprocess.Popen(
        slow_desk.command("reproduce", "one:0"), cwd=slow_desk.root, env=slow_desk.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        place = slow_desk.store / "jobs" / "one" / "0" / "reproduced"
        while not place.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "Go on with:  autoclf reproduce one:0" in told

    done = slow_desk.run("reproduce", "one:0")

    assert done.returncode == 0, done.stderr
    assert "bit for bit" in done.stdout


def test_what_is_not_there_is_told(promoted: Desk) -> None:
    done = promoted.run("reproduce", "tiny:99")

    assert done.returncode == MISTAKE
    assert "has no trial 99" in done.stderr
