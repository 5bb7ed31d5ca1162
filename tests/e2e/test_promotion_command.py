"""The gate, the way back and the list of models through the real command, on two studies: a good one and a weak one."""

import json
import subprocess
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from search.promotion.package import EXTRA, TEST_ANSWERS, check_files, read_manifest
from search.store import Store
from tests.command import Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
GOOD = ("search", "--space", "tiny.yaml", "--trials", "3", "--no-race")
WEAK_SPACE = """
name: weak
data: digits
budget: {rungs: [1], eta: 2}
parameters:
  model: {choice: {resnet9: {width: 4}}}
  optimizer: {choice: {adamw: {lr: {float: [0.0005, 0.0006]}}}}
  training: {batch_size: 128}
  runtime: {micro_batch: 128, precision: float32}
"""
WEAK = ("search", "--space", "weak.yaml", "--trials", "1", "--no-race")
REFUSED, MISTAKE = 3, 2


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Desk:
    """A desk with both studies, and a model `pets`: its first version is the weak one, its second the good one."""
    desk = make_desk(tmp_path_factory.mktemp("found"), template=template)
    (desk.root / "weak.yaml").write_text(WEAK_SPACE)
    for command in (GOOD, WEAK, ("promote", "weak", "--name", "pets")):
        done = desk.run(*command)
        assert done.returncode == 0, done.stderr
    better = desk.run("promote", "tiny", "--name", "pets")
    assert better.returncode == 0, better.stderr
    (desk.root / "better.txt").write_text(better.stdout)
    return desk


def client(desk: Desk) -> MlflowClient:
    return MlflowClient(tracking_uri=Store(desk.store).tracking_uri)


def champion(desk: Desk, name: str = "pets") -> int:
    return int(client(desk).get_model_version_by_alias(name, "champion").version)


def folder_of(desk: Desk, name: str, version: str) -> Path:
    """Where the files of a version lie in the store."""
    source = client(desk).get_model_version(name, version).source
    (folder,) = (path.parent for path in desk.store.rglob("MLmodel") if source.rpartition("/")[2] in path.parts)
    return folder


def test_a_better_candidate_takes_the_champions_place_and_the_figures_are_told(found: Desk) -> None:
    told = (found.root / "better.txt").read_text()

    assert "as 'pets' version 2, in place of version 1" in told
    assert "accuracy on 359 test images: candidate 9" in told
    assert "95 % interval" in told
    assert "answered rightly by the candidate alone: " in told


def test_the_same_again_changes_nothing(found: Desk) -> None:
    again = found.run("promote", "tiny", "--name", "pets")

    assert again.returncode == 0
    assert "'pets' version 2, the champion already" in again.stdout
    assert len(client(found).search_model_versions("name = 'pets'")) == 2


def test_a_worse_candidate_is_refused_with_its_figures(found: Desk) -> None:
    refused = found.run("promote", "weak", "--name", "pets")

    assert refused.returncode == REFUSED
    assert "Refused: The candidate was not promoted: 'pets' version 2" in refused.stderr
    assert "the candidate is better by -" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert champion(found) == 2
    assert len(client(found).search_model_versions("name = 'pets'")) == 2, "nothing was registered"


def test_a_gate_is_passed_for_a_reason_that_is_kept_and_there_is_a_way_back(found: Desk) -> None:
    without = found.run("promote", "weak", "--name", "pets", "--force")
    forced = found.run("promote", "weak", "--name", "pets", "--force", "--why", "a drill")

    assert without.returncode == MISTAKE
    assert forced.returncode == 0, forced.stderr
    now = champion(found)
    assert client(found).get_model_version("pets", str(now)).tags["autoclf.why"] == "a drill"
    back = found.run("rollback", "pets", "--why", "the drill is over")
    assert back.returncode == 0, back.stderr
    assert f"pets@champion is version 2 again; version {now} was left." in back.stdout
    assert champion(found) == 2


def test_a_model_that_took_nobodys_place_can_not_be_rolled_back(found: Desk) -> None:
    assert found.run("promote", "weak", "--name", "first").returncode == 0

    refused = found.run("rollback", "first")

    assert refused.returncode == MISTAKE
    assert "there is nothing to go back to" in refused.stderr
    assert found.run("rollback", "nobody").returncode == MISTAKE


def test_models_are_listed_with_where_they_come_from(found: Desk) -> None:
    listed = found.run("models", "pets", "--format", "json")

    assert listed.returncode == 0, listed.stderr
    rows = {row["version"]: row for row in json.loads(listed.stdout)}
    assert [version for version, row in rows.items() if row["aliases"] == "champion"] == [2]
    assert (rows[1]["study"], rows[2]["study"], rows[2]["former"]) == ("weak", "tiny", "1")
    assert rows[2]["test_accuracy"] > rows[1]["test_accuracy"]
    assert found.run("models", "nobody").returncode == MISTAKE


def test_a_package_holds_what_is_needed_and_knows_its_files(found: Desk) -> None:
    folder = folder_of(found, "pets", "2")

    manifest = read_manifest(folder)

    check_files(folder, manifest)
    assert manifest.image_shape == (8, 8, 1)
    assert len(manifest.class_names) == 10
    assert manifest.temperature > 0
    card = (folder / EXTRA / "README.md").read_text(encoding="utf-8")
    for heading in ("## Use", "## Training", "## Figures", "## Weaknesses", "## Confusion matrix", "## Again"):
        assert heading in card
    assert any(path.suffix == ".safetensors" for path in (folder / EXTRA).iterdir())


def test_f31_two_promotions_at_once_leave_one_sound_champion(found: Desk) -> None:
    both = [
        subprocess.Popen(
            found.command("promote", study, "--name", "raced"), cwd=found.root, env=found.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for study in ("weak", "tiny")
    ]  # fmt: skip
    ends = [(process.communicate()[1], process.returncode) for process in both]

    assert ends[1][1] == 0, "the good one is promoted, whoever comes first"
    assert ends[0][1] in (0, REFUSED), ends[0][0]
    now = client(found).get_model_version_by_alias("raced", "champion")
    assert now.status == "READY"
    assert now.tags["autoclf.study"] == "tiny"


def test_a_champion_whose_files_were_changed_is_not_trusted(found: Desk) -> None:
    assert found.run("promote", "weak", "--name", "changed").returncode == 0
    path = folder_of(found, "changed", "1") / EXTRA / TEST_ANSWERS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    refused = found.run("promote", "tiny", "--name", "changed")

    assert refused.returncode == MISTAKE
    assert f"{TEST_ANSWERS} is not what it was when the package was made" in refused.stderr
    assert "--force --why REASON" in refused.stderr
    assert champion(found, "changed") == 1
