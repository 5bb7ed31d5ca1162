"""Models without epochs through the real command: searched, resumed, promoted like networks."""

import numpy as np
import pytest

from search.trials import State
from tests.books import assert_books_agree
from tests.command import Desk
from trainer.settings import Classical

MIXED = """
name: mixed
data: digits
budget: {rungs: [0.5, 1, 2], eta: 2}
parameters:
  model:
    choice:
      resnet9: {width: 4}
      svm: {c: {choice: [1.0, 10.0]}, features: pixels}
      random_forest: {trees: 20, hog_cell: 2}
      logistic_regression: {hog_cell: 2, pca: 0.9}
  training: {batch_size: 128, ema: {choice: [0.0, 0.9]}}
  augment: {crop_padding: {int: [0, 1]}}
baselines:
  - {model: svm, model.c: 10.0}
  - {model: random_forest}
  - {model: logistic_regression}
  - {model: resnet9}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_models_with_and_without_epochs_are_searched_side_by_side(desk: Desk) -> None:
    (desk.root / "mixed.yaml").write_text(MIXED)

    done = desk.run("search", "--space", "mixed.yaml", "--trials", "5")

    assert done.returncode == 0, done.stdout + done.stderr
    trials = assert_books_agree(desk.store, "mixed", num_trials=5)
    assert not [trial.message for trial in trials if trial.state is State.FAILED]
    best = next(trial for trial in trials if trial.state is State.COMPLETE)
    assert isinstance(best.config.model, Classical)
    assert best.reached == (0.5, 1.0, 2.0)
    assert [bool(result.epoch_seconds) for result in best.results] == [True, False, False], "it is fitted once"
    assert best.results[-1].val_accuracy > 0.95


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_without_epochs_is_promoted_to_a_graph_that_plain_mlflow_loads(desk: Desk) -> None:
    name = "logistic_regression"
    (desk.root / "mixed.yaml").write_text(MIXED)
    fixed = ("--space", "mixed.yaml", "--set", f"model={name}", "--study", name)

    done = desk.run("search", *fixed, "--trials", "1")
    promoted = desk.run("promote", name)

    assert done.returncode == 0, done.stdout + done.stderr
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    script = (
        "import mlflow, numpy; mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db');"
        f"model = mlflow.pyfunc.load_model('models:/{name}@champion');"
        "found = model.predict(numpy.zeros((3, 8, 8, 1), numpy.uint8));"
        "numpy.save('answers.npy', found['probabilities'] if isinstance(found, dict) else found)"
    )
    plain = desk.run_python(script)
    assert plain.returncode == 0, plain.stderr
    np.testing.assert_allclose(np.load(desk.root / "answers.npy").sum(axis=1), 1, rtol=1e-5)
