"""Every command that the pages show is run, in the order in which a reader meets it."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tests.command import Desk, make_desk
from trainer.libraries import import_timm

ROOT = Path(__file__).parents[2]
NAMED = ("README.md", "CONTRIBUTING.md", "mlruns/README.md")
PAGES = [*(ROOT / name for name in NAMED), *sorted((ROOT / "docs").glob("*.md"))]
FILE = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
READ_IN_TURN = (ROOT / "README.md", ROOT / "docs" / "train.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
# They last until Ctrl-C; tests/e2e/test_ui.py and test_serve_command.py run them.
SERVERS = ("autoclf ui", "autoclf serve")
LONG = {
    "--trials 50": "--trials 1 --timeout 30s",
    "--timeout 2h": "--timeout 10s",
    "--trial digits:3": "--trial digits:3 --set training.epochs=2",
    "--space probe": "--space probe --trials 2 --set model.weights=file:lite0.pth",  # no network
}


def commands(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks, without comments."""
    lines = (
        line.partition(" #")[0].strip() for block in BLOCK.findall(page.read_text()) for line in block.splitlines()
    )
    return [line for line in lines if line]


def test_the_pages_show_commands_at_all() -> None:
    assert len(commands(ROOT / "README.md")) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_with_commands_are_among_those_that_are_run(page: Path) -> None:
    assert page in READ_IN_TURN or not [line for line in commands(page) if line.startswith("autoclf ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_the_pages_name_exist(page: Path) -> None:
    targets = set(re.findall(r"(?:`|^ *)make ([a-z-]+)(?:`| +#|$)", page.read_text(), re.MULTILINE))

    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert targets <= known


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.thorough
def test_the_commands_of_the_pages_run(tmp_path: Path, template: Path) -> None:
    desk = make_desk(tmp_path, template=template)
    _make_photos(tmp_path / "photos")
    torch.save(import_timm().create_model("tf_efficientnet_lite0").state_dict(), tmp_path / "lite0.pth")
    for name, text in (found for page in PAGES for found in FILE.findall(page.read_text())):
        (tmp_path / name).write_text(text)

    for line in (line for page in READ_IN_TURN for line in commands(page)):
        if line == "make demo":
            line = "autoclf search --space digits --trials 4"
        if line.startswith("make ") or line.startswith(SERVERS) or "cifar10" in line:
            continue
        for long, short in LONG.items():
            line = line.replace(long, short)
        _run(desk, line)


def _run(desk: Desk, line: str) -> None:
    name, *arguments = shlex.split(line)
    assert name == "autoclf", f"{line!r} is no command of ours"
    done = desk.run(*arguments)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def _make_photos(root: Path) -> None:
    """Make forty small pictures of two kinds that can be told apart."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            pixels[..., label] //= 4
            Image.fromarray(pixels).save(root / name / f"{number}.jpg")


def _searches(text: str) -> list[list[str]]:
    """Return the words of the searches in a file for a cluster, without what the shell would fill in."""
    joined = re.sub(r"\\\n\s*|\n\s+(?=--)", " ", text)
    found = re.findall(r"autoclf (search --[^\n&]*)", joined)
    return [shlex.split(line.replace('"$', '"')) for line in found]


@pytest.mark.parametrize("name", ["slurm.sh", "rayjob.yaml"])
def test_files_for_clusters_are_sound_and_their_searches_have_known_options(name: str, tmp_path: Path) -> None:
    path = ROOT / "docs" / "cluster" / name
    desk = make_desk(tmp_path)
    if path.suffix == ".sh":
        assert desk.run_shell(f"bash -n {path}").returncode == 0
    else:
        spec = yaml.safe_load(path.read_text())["spec"]
        assert spec["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"]
        assert "autoclf search" in spec["entrypoint"]

    (words,) = _searches(path.read_text())

    assert "--executor" in words
    done = desk.run(*words, "--help")
    assert done.returncode == 0, done.stderr
