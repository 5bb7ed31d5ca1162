"""Other tools on the recorded tasks, each in an environment of its own: their packages and ours do not go together."""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.recorded.kept import read
from benchmarks.recorded.tasks import Task, fingerprint
from benchmarks.recorded.traces import Trace

SCRIPTS = Path(__file__).parent / "foreign"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"  # a torch that goes with its torchvision
PARTS = ("units", "scores", "seconds", "budget", "first_rung", "is_continuous")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, and what is run of it."""

    name: str
    requirements: tuple[str, ...]
    strategies: Mapping[str, int]  # and with how many seeds at most: some take minutes a search

    @property
    def script(self) -> Path:
        """Return what runs one of its strategies."""
        return SCRIPTS / f"{self.name.replace('-', '_')}_runs.py"


EVERY = 10**9
TOOLS = (
    Tool(
        "syne-tune",
        ("syne-tune==0.16.0", "huggingface_hub"),  # which its conformal search imports and does not name
        {"Syne Tune ASHA": EVERY, "Syne Tune BOHB": EVERY, "Syne Tune ASHA + CQR": EVERY},
    ),
    Tool(
        "neps",
        ("neural-pipeline-search==0.17.0",),
        {"NePS ASHA": EVERY, "NePS Hyperband": EVERY, "NePS PriorBand": EVERY},
    ),
)


def traces_of_others(
    tasks: Sequence[Task], *, seeds: int, out: Path, processes: int, only: Sequence[str]
) -> dict[tuple[str, str], list[Trace]]:
    """Run every strategy of every tool on every task with every seed; what fails is told and left out.

    Searches that are done lie below `out` and are not run again: they take hours, and versions are fixed.

    Args:
        tasks: To search.
        seeds: 0 to this; fewer for strategies that take long.
        out: Folder for environments and results.
        processes: At once.
        only: Texts, one of which a strategy's name must hold; none for all.

    Returns:
        By strategy and task, a trace a seed.
    """
    tables = out / f"tables-{fingerprint(tasks)}.npz"
    parts = {f"{task.name}/{part}": np.asarray(getattr(task, part)) for task in tasks for part in PARTS}
    if not tables.exists():
        unfinished = tables.with_name(f"unfinished-{os.getpid()}.npz")
        np.savez(unfinished, **parts)  # type: ignore[arg-type]  -- none of them is called `file` or `allow_pickle`
        unfinished.rename(tables)
    jobs = [
        (tool, strategy, seed)
        for tool in TOOLS
        for strategy, most in tool.strategies.items()
        if not only or any(text in strategy for text in only)
        for seed in range(min(seeds, most))
    ]
    tools = {tool.name: tool for tool, _, _ in jobs}
    pythons = {name: _environment(tool, out) for name, tool in tools.items()}
    place = out / "others" / fingerprint(tasks)
    with ThreadPoolExecutor(processes) as pool:
        files = pool.map(lambda job: _search(job[0], pythons[job[0].name], tables, place, *job[1:]), jobs)
        found: dict[tuple[str, str], list[Trace]] = {}
        for (_, strategy, _), file in zip(jobs, files, strict=True):
            for task, trace in read(file).items() if file else ():
                found.setdefault((strategy, task), []).append(trace)
    return found


def _environment(tool: Tool, out: Path) -> Path | None:
    """Make the tool's environment, if it is not there; return its Python, or nothing if it can't be installed."""
    folder = out / "environments" / tool.name
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        print(f"Installing {', '.join(tool.requirements)} into {folder} ...")
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS, *tool.requirements]
        if subprocess.run(command, check=False).returncode:
            sys.stderr.write(f"{tool.name} can't be installed; it is left out.\n")
            return None
        done.touch()
    return python


def _search(tool: Tool, python: Path | None, tables: Path, place: Path, strategy: str, seed: int) -> Path | None:
    """Return where the readings of a search are, on all tasks; nothing if it failed, or there is no such tool."""
    folder = place / f"{strategy.replace(' ', '-')}-{_version(tool)}"
    file = folder / f"{seed}.json"
    if not file.exists():
        if python is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        command = [python, tool.script, tables, strategy, str(seed), unfinished]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | ONE_THREAD)
        if done.returncode or not unfinished.exists():
            sys.stderr.write(f"{done.stderr}{strategy} failed with seed {seed}; that search is left out.\n")
            return None
        sys.stderr.write(done.stderr)  # of tasks on which it failed
        unfinished.rename(file)
    return file


def _version(tool: Tool) -> str:
    """Return a name for what is run of a tool: its release, and our script for it."""
    digest = hashlib.sha256(" ".join(tool.requirements).encode())
    for path in (tool.script, SCRIPTS / "tables.py", SCRIPTS.parent / "blend.py"):
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:12]
