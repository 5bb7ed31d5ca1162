import pytest

from autoclf.summary import changed_settings, optimism_line
from autoclf.tables import short_columns
from search.finish import Doubt
from search.leaderboard import COLUMNS
from search.trials import OBJECTIVES
from trainer.config import Value, job_config


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_short_table_shows_what_decided(objective: str) -> None:
    columns = short_columns(objective)

    assert objective.replace("/", "_") in columns
    assert "val_accuracy" in columns
    assert set(columns) <= COLUMNS.keys()


def test_augmentations_that_are_left_out_are_not_named() -> None:
    plain, turned = (changed_settings(job_config(settings)) for settings in ({}, {"augment.elastic": 5.0}))

    assert not [path for path in plain if path.startswith("augment.")]
    assert [path for path in turned if path.startswith("augment.")] == ["augment.elastic", "augment.elastic_sigma"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, set()),
        ({"training.start_size": 0.5}, {"training.start_size", "training.full_size_at"}),
        ({"training.preview": "weights"}, {"training.preview"}),
        ({"training.keep": "best"}, {"training.keep", "training.watch"}),
        ({"training.patience": 3}, {"training.patience", "training.watch"}),
        ({"schedule": "plateau"}, {"training.watch"}),
    ],
)
def test_of_training_what_is_off_is_not_named(settings: dict[str, Value], told: set[str]) -> None:
    found = changed_settings(job_config(settings))

    always = {"training.epochs", "training.batch_size"}
    assert {path for path in found if path.startswith("training.")} == told | always


def test_a_model_without_epochs_is_told_without_what_belongs_to_training_in_steps() -> None:
    found = changed_settings(job_config({"model": "svm", "model.c": 3.0, "augment.flip": "random"}))

    assert found["model.c"] == 3.0
    assert {path.partition(".")[0] for path in found} <= {"model", "loss", "seed"}


@pytest.mark.parametrize(
    ("metric", "said", "optimism", "line"),
    [
        ("accuracy", 0.9, 0.021, "Validation said 90.00 %, 2.10 points more than the test split; it has judged 7"),
        ("accuracy", 0.9, -0.021, "Validation said 90.00 %, 2.10 points less than the test split; it has judged 7"),
        ("accuracy", 0.9, 0.0, "Validation said 90.00 %, as much as the test split; it has judged 7"),
        ("f1_macro", 0.9, 0.1, "Validation said 90.00 % macro F1, 10.00 points more than the test split; it has"),
        ("loss", 0.25, 0.05, "Validation said a loss of 0.2500, 0.0500 less than the test split; it has judged 7"),
        ("balanced_accuracy", 0.9, None, "Validation said 90.00 % balanced accuracy; it has judged 7 configurations."),
    ],
)
def test_how_far_validation_and_test_are_apart_is_told_in_the_metric_of_the_search(
    metric: str, said: float, optimism: float | None, line: str
) -> None:
    found = Doubt(judged=7, metric=metric, said=said, optimism=optimism)

    assert optimism_line(found, has_more_images=False).startswith(line)
