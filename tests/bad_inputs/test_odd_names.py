"""Names that a tracking store refuses, where they come from a user's folders. Numbers as in docs/faults.md."""

import json
from pathlib import Path

import numpy as np
from mlflow.tracking import MlflowClient
from PIL import Image

from search.store import Store
from tests.books import assert_books_agree
from tests.command import SPACE, Desk

CLASSES = ("acc@1", "a..b", "50% {x} = 'y'", "ordinary", "o" * 200)


def test_57_class_names_that_mlflow_refuses_are_shown_all_the_same(desk: Desk) -> None:
    _write_images(desk.root / "odd")
    space = SPACE.replace("data: digits", "data: {source: 'folder:odd', image_size: 8}").replace("[1, 2, 4]", "[1, 2]")
    (desk.root / "tiny.yaml").write_text(space.replace("batch_size: 128", "batch_size: 8"))

    done = desk.run("search", "--space", "tiny.yaml", "--trials", "2")

    assert done.returncode == 0, done.stderr
    assert_books_agree(desk.store, "tiny", num_trials=2)
    client = MlflowClient(tracking_uri=Store(desk.store).tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`autoclf.trial` = '0'")
    path = client.download_artifacts(run.info.run_id, "classification_report.json", str(desk.root))
    assert set(CLASSES) <= json.loads(Path(path).read_text()).keys()


def _write_images(folder: Path) -> None:
    """Write ten images of each class, all grey, darker or lighter."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for copy in range(10):
            pixels = np.full((8, 8, 3), 50 * number + copy, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{copy}.png")
