"""What tests of a search are made of: trials at any point, a tracker that remembers, books, and scenes."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from optuna.storages import RDBStorage

from search import eventlog, trials
from search.book import Book
from search.engine import Engine
from search.executors.scripted import Mishap, Script, ScriptedExecutor, Scripts, curve, reading
from search.jobs import build_job
from search.ledger import MemoryLedger
from search.notices import Notice
from search.plan import Plan
from search.room import Room
from search.samplers import Tpe
from search.schedulers import Enough, Promotion, Scheduler, UntilEnough
from search.storage import open_storage
from search.store import Store
from search.strategies import make_strategy
from search.study import Study, create_study
from search.tracking.base import StudyCard
from search.trials import Record, State, Trial
from spaces import SearchSpace, Value
from trainer.config import JobConfig, flat
from trainer.data import DataSet
from trainer.results import EpochResult, JobEvent, Reached, to_record

METRIC = "val/accuracy"
RUNGS = (1.0, 3.0, 9.0)
NAME = "study"
KILLED = -9
CRASHED = -11
DATA = DataSet(
    root=Path("data"),
    source="digits",
    fingerprint="f",
    class_names=("a", "b"),
    image_shape=(8, 8, 1),
    num_train=800,
    num_val=200,
    num_test=100,
    mean=(0.5,),
    std=(0.2,),
)
PLAN = Plan(
    device="cpu",
    precision="float32",
    channels_last=True,
    micro_batches={"fastnet": 128},
    images_per_second={"fastnet": 100.0},
    threads=1,
    workers=2,
)
PARAMS: Mapping[str, Value] = {  # of the small space
    "optimizer": "adamw",
    "optimizer.adamw.lr": 0.001,
    "training.batch_size": 32,
    "training.label_smoothing": 0.1,
    "augment.crop_padding": 2,
}


def result(epoch: float, accuracy: float = 0.5, *, loss: float = 1.0, seconds: float = 1.0) -> EpochResult:
    """A result after a stretch that took `seconds`."""
    return reading(epoch, val_accuracy=accuracy, val_loss=loss, seconds=seconds)


def reached(epoch: float) -> Reached:
    return Reached(epoch=epoch, at=0.0, num_parameters=7, predictions="predictions.npz")


def new_trial(number: int = 0, params: Mapping[str, Value] | None = None) -> Trial:
    record = trials.created(number=number, uid=f"uid-{number}", params=params or {}, config=flat(JobConfig()), at=100.0)
    trial = trials.fold([record])
    assert trial is not None
    return trial


def after(trial: Trial, *happened: Record | JobEvent) -> Trial:
    """The trial after records or events."""
    for item in happened:
        trial = trials.apply(trial, item if isinstance(item, dict) else to_record(item))
    return trial


def ordered(until: float) -> Record:
    return trials.ordered(until, at=0.0)


def trial_at(
    number: int,
    readings: Mapping[float, float],
    *,
    going_to: float | None = None,
    ended: State | None = None,
    seconds: float = 1.0,
    params: Mapping[str, Value] | None = None,
) -> Trial:
    """A trial that was sent from rung to rung and read these accuracies there.

    Args:
        number: Of the trial.
        readings: Accuracies by rung, rising.
        going_to: The epoch that a worker is bringing it to now.
        ended: How it ended.
        seconds: That each stretch took.
        params: As they were drawn.
    """
    trial = new_trial(number, params)
    for epoch, accuracy in readings.items():
        trial = after(trial, ordered(epoch), result(epoch, accuracy, seconds=seconds), reached(epoch))
    if going_to is not None:
        trial = after(trial, ordered(going_to))
    return trial if ended is None else after(trial, trials.ended(ended, at=0.0))


@dataclass(slots=True)
class Tape:
    """A tracker that remembers what it was shown."""

    looks: list[Trial] = field(default_factory=list)
    cards: list[StudyCard] = field(default_factory=list)

    def show(self, trial: Trial) -> None:
        self.looks.append(trial)

    def show_study(self, card: StudyCard) -> None:
        self.cards.append(card)

    @property
    def trials(self) -> list[Trial]:
        """The last look of each trial, by number."""
        last = {trial.number: trial for trial in self.looks}
        return [last[number] for number in sorted(last)]


@dataclass(frozen=True, slots=True)
class Ground:
    """A store, and a study of its own in a database that others use too: to open one takes long."""

    store: Store
    storage: RDBStorage

    def study(self, objective: str = METRIC, *, beside: str = "") -> Study:
        """The study of this store, or another one beside it."""
        return create_study(self.storage, f"{self.store.root}{beside}", objective)

    def book(self, space: SearchSpace, tape: Tape | None = None) -> Book:
        """Books on what lies in the store, as a driver that has just begun opens them."""
        self.store.study(NAME).mkdir(parents=True, exist_ok=True)
        return Book(
            name=NAME,
            space=space,
            store=self.store,
            study=self.study(space.objective.metric),
            tracker=Tape() if tape is None else tape,
            build=partial(build_job, space, data="data", seed=0, runtime={}),
        )


def open_study(store: Store, name: str = NAME) -> Study:
    """A study in the store's own database."""
    return create_study(open_storage(store.study_url), name, METRIC)


def quality(config: JobConfig) -> float:
    """How good a configuration is, in (0, 1): best at the rate that its optimizer likes."""
    liked = 0.2 if flat(config)["optimizer"] == "sgd" else 0.001
    return 0.9 - 0.1 * abs(math.log10(config.optimizer.lr / liked))


def learns(_number: int, config: JobConfig) -> Script:
    """A noise-free curve to the last of `RUNGS`: who is ahead stays ahead."""
    return Script(results=curve([quality(config) * (1 - 0.5 * 0.8**epoch) for epoch in range(1, 10)]))


def with_mishaps(mishaps: Mapping[int, tuple[Mishap, ...]], scripts: Scripts = learns) -> Scripts:
    """The scripts, but for what befalls some trials."""

    def script(number: int, config: JobConfig) -> Script:
        whole = scripts(number, config)
        return Script(results=whole.results, mishaps=mishaps.get(number, ()))

    return script


def trials_of(
    space: SearchSpace,
    *,
    sampler: str,
    scheduler: str,
    max_trials: int,
    seed: int = 0,
    scripts: Scripts = learns,
    seconds: float | None = None,
    num_slots: int = 1,
    before: Sequence[Trial] = (),
    executor: ScriptedExecutor | None = None,
    stop_after: float = math.inf,
) -> list[Trial]:
    """The trials of a scripted search on books in memory, which may go on from earlier trials.

    Args:
        before: Earlier trials; with the executor that they ran on, they have their checkpoints.
        executor: In place of one that runs the scripts.
        stop_after: Simulated seconds, after which it is interrupted.
    """
    build = partial(build_job, space, data="data", seed=0, runtime={})
    ledger = MemoryLedger(space=space, build=build, trials=list(before))
    workers = executor or ScriptedExecutor(scripts, num_slots=num_slots)
    strategy = make_strategy(space, seed=seed, sampler=sampler, scheduler=scheduler)
    Engine(
        book=ledger,
        sampler=strategy.sampler,
        scheduler=strategy.scheduler,
        executor=workers,
        data_root=Path(),
        max_trials=max_trials,
        deadline=seconds,
        is_interrupted=lambda: workers.now >= stop_after,
        watch=lambda notice: None,
        clock=lambda: workers.now,
    ).run()
    return ledger.trials


@dataclass(slots=True, kw_only=True)
class Scene:
    """A search with scripted jobs on real books."""

    ground: Ground
    space: SearchSpace
    scripts: Scripts = learns
    num_slots: int = 2
    max_trials: int = 20
    speed: float = math.inf
    enough: Enough = field(default_factory=Enough)
    room: Room | None = None
    scheduler: Scheduler | None = None  # plain promotion
    tape: Tape = field(default_factory=Tape)
    notices: list[Notice] = field(default_factory=list)
    executor: ScriptedExecutor = field(init=False)
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.executor = ScriptedExecutor(self.scripts, num_slots=self.num_slots, speed=self.speed)
        self.open()

    def open(self) -> None:
        """Begin as another driver does: with nothing but what lies in the store."""
        self.book = self.ground.book(self.space, self.tape)
        self.book.recover()

    def run(self, *, seconds: float | None = None, is_interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Search; return whether the search is finished."""
        budget = self.space.budget
        return Engine(
            book=self.book,
            sampler=Tpe(space=self.space, seed=0),
            scheduler=UntilEnough(
                scheduler=self.scheduler
                or Promotion(rungs=budget.rungs, eta=budget.eta, objective=self.space.objective.metric),
                enough=self.enough,
                rungs=budget.rungs,
                objective=self.space.objective.metric,
                began=time.time(),
            ),
            executor=self.executor,
            data_root=Path("data"),
            max_trials=self.max_trials,
            deadline=None if seconds is None else time.monotonic() + seconds,
            is_interrupted=is_interrupted,
            watch=self.notices.append,
            crowded_out=self.room.crowded_out if self.room else lambda _: (),
        ).run()

    @property
    def trials(self) -> list[Trial]:
        return self.book.trials

    def numbers(self, kind: str) -> list[int]:
        """Numbers of the trials that a kind of notice was given of, in order."""
        return [notice.trial.number for notice in self.notices if notice.kind == kind and notice.trial]

    def records(self, number: int) -> list[Record]:
        """The log of a trial."""
        return eventlog.read(self.ground.store.log(NAME, number))


def states(items: list[Trial]) -> Counter[State]:
    return Counter(trial.state for trial in items)


Stage = Callable[..., Scene]
ENDS = ("complete", "pruned", "failed")


def assert_over(scene: Scene, num_trials: int) -> None:
    """Check that every trial ended, once, in every book."""
    assert [trial.number for trial in scene.trials] == list(range(num_trials))
    assert all(trial.state.is_over for trial in scene.trials)
    assert sorted(number for kind in ENDS for number in scene.numbers(kind)) == list(range(num_trials))
    for number in range(num_trials):
        assert [record["kind"] for record in scene.records(number)].count("ended") == 1
    assert not [trial for trial in scene.book.study.trials() if not trial.state.is_finished()]
    assert scene.tape.trials == scene.trials


# A whole search
