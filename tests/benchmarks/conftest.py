from collections.abc import Iterator

import numpy as np
import optuna
import pytest

from benchmarks.recorded.tasks import Task, load_tasks

NUM_ROWS, NUM_EPOCHS = 60, 9


@pytest.fixture(autouse=True)
def as_loud_as_before() -> Iterator[None]:
    """Benchmarks tell Optuna how loud to be; other tests of this process want it as it was."""
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    """Two small tables, one of each format: the best rate is 0.01; two rows of the second diverge."""
    folder = tmp_path_factory.mktemp("curves")
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, 0, NUM_ROWS)
    layers = rng.integers(1, 6, NUM_ROWS)
    x = np.stack([rates, layers], axis=1)
    quality = 1 - 0.2 * np.abs(np.log10(rates / 0.01)) - 0.02 * np.abs(layers - 3)
    accuracies = 100 * quality[:, None] * (1 - 0.7 ** np.arange(1, NUM_EPOCHS + 1))
    clock = np.cumsum(np.full((NUM_ROWS, NUM_EPOCHS), 1.0) * layers[:, None], axis=1)
    np.savez(
        folder / "a.npz",
        x=x,
        x_names=["rate", "layers"],
        tasks=["7"],
        y=np.stack([clock, accuracies], axis=2)[None],
        y_names=["time", "val_accuracy"],
    )
    losses = 2 - accuracies / 100
    losses[4, 3:] = np.nan
    losses[5, 0], losses[5, 1:] = np.inf, 0.1
    np.savez(folder / "b.npz", hp_names=["rate", "layers"], hp_net=x, valid_net=losses)
    return {task.name: task for task in load_tasks(folder, is_continuous=False)}
