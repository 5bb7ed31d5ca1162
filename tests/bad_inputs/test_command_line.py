"""What a user may write wrong on the command line and in a space file. Numbers as in docs/faults.md.

Each is refused before anything is trained, with exit code 2, a message that names the place and the way out, and no
traceback.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from autoclf.__main__ import main
from tests.command import SPACE

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in an empty directory with `tiny.yaml`; return its exit code and all that it printed."""
    (tmp_path / "tiny.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")

    def run_with(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["autoclf", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return run_with


SPACES = {
    "39 unknown key": ("budget: {", "budget: {rngs: 1, ", ["budget.rngs", "Did you mean 'rungs'"]),
    "40 wrong type": ("batch_size: 128", "batch_size: {int: [a, 3]}", ["parameters.training.batch_size", "'a'"]),
    "41 low above high": ("[0.01, 0.3]", "[0.3, 0.01]", ["parameters.optimizer.choice.sgd.lr", "0.3"]),
    "42 log with 0": ("[0.01, 0.3]", "[0, 0.3]", ["parameters.optimizer.choice.sgd.lr", "log"]),
    "43 infinite bound": ("[0.01, 0.3]", "[0.01, .inf]", ["parameters.optimizer.choice.sgd.lr", "inf"]),
    "43 bound that is no number": ("[0.01, 0.3]", "[.nan, 0.3]", ["parameters.optimizer.choice.sgd.lr", "nan"]),
    "44 no choices": ("{choice: [4, 8]}", "{choice: []}", ["width"]),
    "45 int with log and step": ("{int: [0, 1]}", "{int: [1, 8], log: true, step: 2}", ["crop_padding", "step"]),
    "46 rung below 0": ("[1, 2, 4]", "[-1, 2, 4]", ["budget.rungs", "-1"]),
    "48 unknown model": ("resnet9:", "resnet_9:", ["No model is called 'resnet_9'", "Did you mean 'resnet9'"]),
    "48 unknown metric": ("data: digits", "data: digits\nobjective: val/acuracy", ["Did you mean 'val/accuracy'"]),
    "48 unknown setting": ("batch_size: 128", "batch_sise: 128", ["training.batch_sise", "Did you mean"]),
    "49 contradiction": (
        "data: digits",
        "data: digits\nobjective: {metric: val/loss, direction: maximize}",
        ["objective", "minimize"],
    ),
    "50 rungs that fall": ("[1, 2, 4]", "[4, 2, 1]", ["budget.rungs"]),
    "53 python object": ("data: digits", "data: !!python/object/apply:os.system [touch pwned]", ["tag"]),
    "53 key written twice": ("data: digits", "data: digits\ndata: cifar10", ["data", "twice"]),
    "54 space name": ("name: tiny", "name: ../tiny", ["name", "'../tiny'"]),
}


@pytest.mark.parametrize("case", SPACES)
def test_a_wrong_space_file_is_refused_with_file_place_and_remedy(run: Run, tmp_path: Path, case: str) -> None:
    before, after, wanted = SPACES[case]
    assert before in SPACE
    (tmp_path / "tiny.yaml").write_text(SPACE.replace(before, after, 1))

    code, printed = run("search", "--space", "tiny.yaml")

    assert code == 2
    assert "tiny.yaml" in printed
    for part in wanted:
        assert part in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "mlruns").exists(), "nothing was begun"


BASELINES = {
    "52 out of range": ("{optimizer: sgd, optimizer.lr: 50.0}", ["optimizer.lr", "50"]),
    "52 wrong type": ("{optimizer: sgd, optimizer.lr: fast}", ["optimizer.lr", "'fast'"]),
    "52 of another option": ("{optimizer: adamw, optimizer.lr: 0.001, optimizer.momentum: 0.9}", ["momentum"]),
    "52 unknown": ("{optimiser: sgd}", ["optimiser", "Did you mean 'optimizer'"]),
}


@pytest.mark.parametrize("case", BASELINES)
def test_a_wrong_baseline_is_refused_at_once(run: Run, tmp_path: Path, case: str) -> None:
    text, wanted = BASELINES[case]
    (tmp_path / "tiny.yaml").write_text(f"{SPACE}baselines:\n  - {text}\n")

    code, printed = run("search", "--space", "tiny.yaml")

    assert code == 2
    for part in ("tiny.yaml", "baselines", *wanted):
        assert part in printed


ARGUMENTS = {
    "46 no trials": (("--trials", "0"), ["--trials"]),
    "46 fewer than none": (("--trials", "-3"), ["--trials"]),
    "46 no workers": (("--workers", "0"), ["--workers"]),
    "46 no time": (("--timeout", "0s"), ["--timeout", "30m"]),
    "46 time in words": (("--timeout", "soon"), ["'soon'", "30m"]),
    "46 seed": (("--seed", "-1"), ["--seed"]),
    "46 no patience": (("--patience", "0"), ["--patience", "30m"]),
    "46 patience in words": (("--patience", "little"), ["'little'", "30m"]),
    "46 target in percent": (("--target", "94"), ["--target", "val/accuracy", "0.94", "got 94"]),
    "46 no disk": (("--disk", "0"), ["--disk", "20GB"]),
    "46 disk in words": (("--disk", "lots"), ["'lots'", "20GB"]),
    "46 no core": (("--executor", "ray", "--cpus-per-trial", "0"), ["--cpus-per-trial"]),
    "46 part of a second GPU": (("--executor", "ray", "--gpus-per-trial", "1.5"), ["--gpus-per-trial", "1.5", "whole"]),
    "46 workers of a cluster": (("--executor", "ray", "--workers", "2"), ["--workers", "--cpus-per-trial"]),
    "46 cluster without a port": (("--executor", "ray", "--address", "head"), ["'head'", "--address"]),
    "48 unknown sampler": (("--sampler", "tpee"), ["'tpee'", "Did you mean 'tpe'"]),
    "48 unknown scheduler": (("--scheduler", "hyperbnd"), ["'hyperbnd'", "Did you mean 'hyperband'"]),
    "48 unknown earlier study": (("--warm-start", "nowhere"), ["nowhere"]),
    "48 device": (("--device", "cuda:7", "--workers", "1"), ["cuda:7", "cpu"]),
    "48 device that is none": (("--device", "gpu", "--workers", "1"), ["'gpu'", "cpu"]),
    "54 slash": (("--study", "a/b"), ["'a/b'", "64 letters"]),
    "54 dots": (("--study", ".."), ["'..'"]),
    "54 quotes": (("--study", "a'b"), ["64 letters"]),
    "54 empty": (("--study", ""), ["''"]),
    "54 too long": (("--study", "x" * 1000), ["64 letters"]),
    "55 data that is not there": (("--data", "folder:nowhere"), ["nowhere"]),
    "55 file for a folder": (("--data", "folder:tiny.yaml"), ["tiny.yaml"]),
    "55 folder for a file": (("--data", "npz:."), ["npz"]),
    "55 file for a store": (("--store", "tiny.yaml"), ["tiny.yaml", "--store"]),
    "55 file for event files": (("--tensorboard", "tiny.yaml"), ["tiny.yaml", "--tensorboard"]),
    "55 unknown source": (("--data", "digts"), ["Did you mean 'digits'"]),
    "55 misspelt set": (("--data", "fashionmnist"), ["Did you mean 'fashion_mnist'"]),
    "55 storage in no folder": (("--storage", "sqlite:///nowhere/x.db"), ["nowhere"]),
    "55 storage that is no address": (("--storage", "studies.db"), ["studies.db", "sqlite:///"]),
    "55 storage that is no database": (("--storage", "sqlite:///tiny.yaml"), ["tiny.yaml"]),
    "56 driver that is not there": (("--storage", "mysql://me:secret@host/db"), ["mysql"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_wrong_argument_is_refused_with_a_remedy(run: Run, case: str) -> None:
    arguments, wanted = ARGUMENTS[case]

    code, printed = run("search", "--space", "tiny.yaml", *arguments)

    assert code == 2
    for part in wanted:
        assert part in printed
    assert "Traceback" not in printed
    assert "secret" not in printed, "56: a password is never shown"


FILES = {
    "53 aliases that multiply": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9))
    ),
    "53 ten megabytes": b"name: x\nabout: " + b"x" * 10_000_000,
    "55 not text": bytes(range(256)),
    "55 empty": b"",
    "55 a list": b"- 1\n- 2\n",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_space_is_refused_at_once(run: Run, tmp_path: Path, case: str) -> None:
    (tmp_path / "odd.yaml").write_bytes(FILES[case])

    code, printed = run("spaces", "check", "odd.yaml")

    assert code == 2
    assert "odd.yaml" in printed
    assert "Traceback" not in printed


def test_55_a_space_that_is_not_there_is_refused(run: Run) -> None:
    code, printed = run("search", "--space", "missing.yaml")

    assert code == 2
    assert "missing.yaml" in printed


def test_55_a_damaged_archive_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "food-101.tar.gz").write_bytes(b"half a download")

    code, printed = run("search", "--space", "tiny.yaml", "--data", "food101", "--data-dir", str(tmp_path))

    assert code == 2
    assert "food-101.tar.gz has not the published checksum" in printed
    assert "Traceback" not in printed


def test_55_a_path_with_signs_that_databases_read_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "50% {SCHEMA_VERSION} runs"

    code, printed = run("search", "--space", "tiny.yaml", "--store", str(store), "--data", "folder:nowhere")

    assert code == 2
    assert "nowhere" in printed, "the store was fine"
    with sqlite3.connect(store / "optuna.db") as connection:
        assert connection.execute("select count(*) from studies").fetchone() == (1,)


@pytest.mark.parametrize(
    "arguments",
    [("leaderboard", "digits"), ("promote", "digits"), ("resume", "digits"), ("ui",)],
    ids=" ".join,
)
def test_55_commands_on_a_store_that_is_not_there_say_so(run: Run, arguments: tuple[str, ...]) -> None:
    code, printed = run(*arguments)

    assert code == 2
    assert "There is no store at 'mlruns'" in printed
