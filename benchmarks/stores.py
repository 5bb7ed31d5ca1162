"""What the books of a long search cost: the real engine, study database, logs and MLflow; only training is replayed.

python -m benchmarks.stores [--trials 1000] [--slots 16] [--storage postgresql+psycopg://...] [--scheduler NAME]

Without --storage the study lies in a SQLite file. Nothing waits for training, so all the time that passes is ours.
"""

import argparse
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import optuna

from benchmarks.scale import Timed, learns, run
from search.book import Book
from search.crew import Alone, Crew
from search.executors.scripted import ScriptedExecutor
from search.jobs import build_job
from search.request import DEFAULT_SAMPLER, DEFAULT_SCHEDULER, Request
from search.storage import open_storage
from search.store import open_store
from search.strategies import make_strategy
from search.study import create_study
from search.tracking.base import DataCard
from search.tracking.mirrors import Mirrors, open_mirrors
from spaces import load_space
from trainer.job import save_predictions
from trainer.jobfiles import PREDICTIONS
from trainer.orders import Order

STUDY = f"stores-{uuid4().hex[:8]}"  # a new one, whatever the database holds
UPLOAD_SECONDS = 1800.0
NUM_IMAGES = 1000  # of a validation split, whose predictions MLflow gets as a picture


class Replaying(ScriptedExecutor):
    """Replays training, and leaves what MLflow is shown of it."""

    def start(self, job: int, order: Order) -> None:
        """Begin a job."""
        super().start(job, order)
        rng = np.random.default_rng(job)
        order.directory.mkdir(parents=True, exist_ok=True)
        logits = rng.normal(size=(NUM_IMAGES, 10)).astype(np.float32)
        save_predictions(order.directory / PREDICTIONS, logits=logits, labels=rng.integers(10, size=NUM_IMAGES))


def main() -> None:
    """Run a search and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--storage", help="URL of the study database; a SQLite file unless told")
    parser.add_argument("--sampler", default=DEFAULT_SAMPLER)
    parser.add_argument("--scheduler", default=DEFAULT_SCHEDULER)
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        _run(asked, Path(place))


def _run(asked: argparse.Namespace, place: Path) -> None:
    request = _request(asked, place)
    store = open_store(request.store)
    study = create_study(open_storage(request.storage or store.study_url), STUDY, request.space.objective.metric)
    store.study(STUDY).mkdir(parents=True)
    if study.storage.engine.dialect.name == "postgresql":
        from search.crew.postgres import PostgresCrew

        with PostgresCrew(study.storage.engine, STUDY) as crew:
            _search(asked, _book(request, crew))
    else:
        _search(asked, _book(request, Alone()))


def _request(asked: argparse.Namespace, place: Path) -> Request:
    return Request(
        space=load_space("cifar10"),
        space_text="",
        study=STUDY,
        source="replayed",
        max_trials=asked.trials,
        timeout_seconds=None,
        store=place,
        storage=asked.storage,
        tracking_uri=None,
        workers=asked.slots,
        device="cpu",
        seed=0,
        data_dir=place,
        cache=place,
    )


def _book(request: Request, crew: Crew) -> Book:
    store = open_store(request.store)
    card = DataCard(
        name="replayed", fingerprint="data", num_classes=10, image_shape=(3, 32, 32), num_images={}, skipped=()
    )
    return Book(
        name=STUDY,
        space=request.space,
        store=store,
        study=create_study(open_storage(request.storage or store.study_url), STUDY, request.space.objective.metric),
        tracker=open_mirrors(store, request, uid="stores", data=card, class_names=tuple("0123456789")),
        build=partial(build_job, request.space, data="data", seed=0, runtime={}),
        crew=crew,
    )


def _search(asked: argparse.Namespace, book: Book) -> None:
    strategy = make_strategy(book.space, seed=0, sampler=asked.sampler, scheduler=asked.scheduler)
    timed = Timed(strategy.sampler, strategy.scheduler)
    executor = Replaying(partial(learns, book.space.budget.rungs), num_slots=asked.slots)
    began = time.perf_counter()
    with book.crew.turn():
        book.recover()
    run(book, executor, timed, max_trials=asked.trials)
    searched = time.perf_counter() - began
    assert isinstance(book.tracker, Mirrors)
    book.tracker.close(timeout_seconds=UPLOAD_SECONDS)
    shown = time.perf_counter() - began - searched
    num_results = sum(len(trial.results) for trial in book.trials)
    half, most = np.quantile(timed.seconds, (0.5, 0.95))
    memory, theirs = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"{len(book.trials):,} trials with {num_results:,} results in {searched:.1f} s: {1000 * half:.1f} ms a "
        f"decision in the median, {1000 * most:.1f} ms at the 95th percentile, "
        f"{1000 * searched / len(book.trials):.0f} ms a trial in all; MLflow was level {shown:.1f} s later "
        f"({book.tracker.num_not_uploaded} looks missing); {memory:,.0f} MiB, and {theirs:,.0f} MiB for MLflow"
    )


if __name__ == "__main__":
    main()
