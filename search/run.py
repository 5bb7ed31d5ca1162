"""A search from the request to the outcome: opens everything, runs the engine, and closes it in order."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from search.book import Book
from search.cards import Stage, best_weights, data_card, study_card
from search.crew import Crew
from search.diagnosis import Finding, diagnosis_among
from search.driving import check_nobody_ends, driving, wait_for_ender
from search.ending import LAST_SECONDS, Ended, Ending
from search.engine import Engine
from search.errors import StorageBusyError
from search.executors import Executor
from search.executors.local import load_server
from search.executors.opening import open_executor
from search.interruptions import interruptions
from search.jobs import build_job, check_space, has_classical
from search.notices import Notice, Watch
from search.plan import Plan, plan_of
from search.request import Request
from search.room import Room, default_budget, size_of
from search.schedulers import Enough, UntilEnough
from search.storage import open_storage
from search.store import Store, check_place, check_study_name, open_store, read_logs
from search.strategies import Strategy, check_names, make_strategy
from search.study import Study, claim, create_study
from search.tracking.mirrors import Mirrors, check_tensorboard, open_mirrors
from search.trials import State, Trial
from search.warm_start import PROFILE, begin_warm, check_past, profile_of
from search.winner import remembered_standing
from spaces import Baseline, Value
from trainer.config import JobConfig, model_name
from trainer.data import DataSet, absent_classes, prepare
from trainer.jobfiles import remove_leftovers, remove_state

SECONDS_BETWEEN_DECODING_NOTICES = 0.5
SOMEBODY = "another driver"  # that took the study over, and may have gone since
UPLOAD_SECONDS = 120.0  # that each mirror gets at the end to show what is due


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a search ended."""

    study: str
    ended: Ended
    trials: tuple[Trial, ...]
    diagnosis: tuple[Finding, ...]  # of the winner
    seconds: float  # of this run of the search
    training_seconds: float  # of training steps in this run, summed over workers
    workers: int
    tracking: Mapping[str, str]  # addresses: experiment, study run and winner's run
    num_not_uploaded: int  # looks that the tracking store could not be shown
    num_not_written: int  # looks that could not be written to event files
    others: tuple[str, ...] = ()  # drivers that go on with the study, which this one has left or lost to them


def search(request: Request, watch: Watch, *, began: float | None = None) -> Outcome:
    """Run or resume a search.

    Args:
        request: What is asked for.
        watch: Is told how it goes.
        began: When, as `time.monotonic` gives it, a limit of time counts from; now, unless told.

    Raises:
        SpaceError, StudyError, DataError: For what the user can mend.
        StorageBusyError: If the study database stays away; the search can be resumed.
    """
    began = time.monotonic() if began is None else began
    check_names(sampler=request.sampler, scheduler=request.scheduler)
    check_space(request.space)
    check_tensorboard(request.tensorboard)
    store = open_store(request.store)
    name = check_study_name(request.study)
    storage = open_storage(request.storage or store.study_url)
    check_past(store, storage, request.warm_start)  # before anything is made
    study = create_study(storage, name, request.space.objective.metric)
    directory = store.study(name)
    directory.mkdir(parents=True, exist_ok=True)
    if request.cluster is None:
        load_server(fits=has_classical(request.space))
    with driving(study, directory) as (crew, has_lost), interruptions() as interruption:
        data = prepare_data(request, watch)
        _tell_of(data, watch)
        wait_for_ender(crew, name)
        with crew.turn():
            claim(study, space=request.space, space_text=request.space_text, data=data.fingerprint, seed=request.seed)
            uid = study.attributes.get("autoclf.uid")
            uid = check_place(directory, uid, num_trials=len(study.trials()))
            check_nobody_ends(crew, name)
            warm = _warm(request, store, study, data, watch)
            _remember(study, request, data, uid=uid)  # last: what is refused changes nothing
        plan = plan_of(request, study, data, crew, watch)
        return _Search(
            request=request,
            store=store,
            study=study,
            data=data,
            plan=plan,
            warm=warm,
            crew=crew,
            watch=watch,
            is_interrupted=lambda: interruption.is_wanted() or has_lost(),
            has_lost=has_lost,
            began=began,
        ).run()


def prepare_data(request: Request, watch: Watch) -> DataSet:
    """Find, split and decode the data of a request, or take what was decoded before.

    Raises:
        DataError: If the images are missing or unfit.
    """
    spec = request.space.data
    watch(Notice(kind="preparing", values={"source": request.source}))
    return prepare(
        request.source,
        cache=request.cache,
        data_dir=request.data_dir,
        image_size=spec.image_size,
        val_fraction=spec.val_fraction,
        test_fraction=spec.test_fraction,
        seed=spec.seed,
        on_bad_image=request.on_bad_image or spec.on_bad_image,
        duplicates=spec.duplicates,
        on_progress=_decoding(watch),
    )


def _tell_of(data: DataSet, watch: Watch) -> None:
    """Tell what a user should know of the images before a search begins."""
    if data.skipped:
        watch(Notice(kind="skipped", values={"number": len(data.skipped), "first": data.skipped[0]}))
    if data.num_dropped:
        watch(Notice(kind="dropped", values={"number": data.num_dropped}))
    if data.num_leaks:
        watch(Notice(kind="leaks", values={"number": data.num_leaks}))
    for split in ("train", "val"):
        if absent := absent_classes(data, split):
            watch(Notice(kind="absent", values={"split": split, "classes": absent}))


def _decoding(watch: Watch) -> Callable[[int, int], None]:
    """Return what tells of decoded images, often enough for whoever watches."""
    told_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if done == total or time.monotonic() - told_at > SECONDS_BETWEEN_DECODING_NOTICES:
            told_at = time.monotonic()
            watch(Notice(kind="decoding", values={"done": done, "total": total}))

    return tell


def _warm(request: Request, store: Store, study: Study, data: DataSet, watch: Watch) -> tuple[Baseline, ...]:
    """Return what earlier studies found best and this one tries first, and say where it is from."""
    found, learnt_from = begin_warm(study, store, request.space, data, request.warm_start)
    if request.warm_start and (learnt_from or not found):
        watch(Notice(kind="warm_start", values={"studies": list(learnt_from), "configurations": len(found)}))
    return found


def _remember(study: Study, request: Request, data: DataSet, *, uid: str) -> None:
    """Keep what `autoclf resume` needs."""
    known = study.attributes
    values: dict[str, Any] = {
        "autoclf.source": request.source,
        "autoclf.space_name": request.space.name,
        "autoclf.data_dir": str(request.data_dir),
        "autoclf.max_trials": request.max_trials,
        "autoclf.uid": uid,
        "autoclf.device": request.device,
        "autoclf.tracking_uri": request.tracking_uri,
        "autoclf.tensorboard": None if request.tensorboard is None else str(request.tensorboard),
        "autoclf.sampler": request.sampler,
        "autoclf.scheduler": request.scheduler,
        PROFILE: profile_of(data),
        "autoclf.disk_bytes": request.disk_bytes,
        "autoclf.cluster": None if request.cluster is None else asdict(request.cluster),
        "autoclf.races": request.races,
        "autoclf.refits_winner": request.refits,
        "autoclf.reads_test": request.reads_test,
        "autoclf.on_bad_image": request.on_bad_image,
    }
    for name, value in values.items():
        if known.get(name) != value:
            study.remember(name, value)


def _job(request: Request, data: DataSet, plan: Plan, drawn: Mapping[str, Value]) -> JobConfig:
    """Return the job of drawn parameters; all jobs of a study share its seed, so that they are comparable."""
    build = partial(build_job, request.space, drawn, data=data.fingerprint, seed=request.seed)
    return build(runtime=plan.runtime(model_name(build(runtime={}).model)))


@dataclass(slots=True, kw_only=True)
class _Search:
    """Everything that is open while a search runs."""

    request: Request
    store: Store
    study: Study
    data: DataSet
    plan: Plan
    warm: tuple[Baseline, ...]  # what earlier studies found best
    crew: Crew
    watch: Watch
    is_interrupted: Callable[[], bool]
    has_lost: Callable[[], bool]  # the study, or its end, to another driver
    began: float  # as `time.monotonic` gives it

    def run(self) -> Outcome:
        """Search, read the test split if that finished the search, show all of it, and sum up."""
        request = self.request
        card = data_card(request.source, self.data)
        uid = self.study.attributes["autoclf.uid"]
        mirrors = open_mirrors(self.store, request, uid=uid, data=card, class_names=self.data.class_names)
        executor = open_executor(request, num_slots=self.plan.workers)
        if request.cluster is not None:  # which has room for as many as it has now
            self.plan = replace(self.plan, workers=executor.num_slots)
        book = self._open_book(mirrors)
        spent_before = self._trained(book)
        mirrors.show_study(study_card(request, self.plan, card, book.trials, Stage(status="RUNNING")))
        self.watch(Notice(kind="search", values={"study": request.study, "trials": len(book.trials)}))
        ending = self._ending(executor, mirrors)
        try:
            engine = self._engine(book, executor, ending)
            is_over = engine.run()
            if is_over:
                with book.turn():
                    book.level()
            ended = ending.settle(book.trials, is_over=is_over)
            executor.close()
        except BaseException as error:
            executor.close()
            if not isinstance(error, StorageBusyError):  # else it has been waited for long enough
                with suppress(StorageBusyError):
                    self.crew.leave()
            if isinstance(error, StorageBusyError) or not self._others():  # else it is for them to show
                mirrors.show_study(study_card(request, self.plan, card, book.trials, Stage(status="KILLED")))
            mirrors.close(timeout_seconds=LAST_SECONDS)
            raise
        winner = ended.winner
        if ended.is_finished:
            self._tidy_up(book, keep=winner)
        others = engine.left_to or (() if ended.is_finished else self._others())
        if not others:
            stage = Stage(
                status="FINISHED" if ended.is_finished else "KILLED", standing=ended.standing, test=ended.test
            )
            final = study_card(request, self.plan, card, book.trials, stage)
            files = best_weights(book.trials, winner, request.space.objective.metric, self.store, request.study)
            mirrors.show_study(replace(final, files=files))
        mirrors.close(timeout_seconds=self._seconds_for_uploads())
        return Outcome(
            study=request.study,
            ended=ended,
            trials=tuple(book.trials),
            diagnosis=diagnosis_among(book.trials, winner, self.store, book.name) if winner else (),
            seconds=time.monotonic() - self.began,
            training_seconds=self._trained(book) - spent_before,
            workers=self.plan.workers,
            tracking=mirrors.addresses(winner.number if winner else None),
            num_not_uploaded=mirrors.num_not_uploaded,
            num_not_written=mirrors.num_not_written,
            others=others if engine.left_to or self.has_lost() else (),
        )

    def _others(self) -> tuple[str, ...]:
        """Return the other drivers that have the study, as far as the database tells."""
        try:
            return self.crew.others() or ((SOMEBODY,) if self.has_lost() else ())
        except StorageBusyError:
            return ()

    def _seconds_for_uploads(self) -> float:
        """Return how long each mirror may go on at the end: a limit holds for that, too; time was kept free for it."""
        deadline = self._deadline()
        if deadline is None:
            return UPLOAD_SECONDS
        return min(UPLOAD_SECONDS, max(LAST_SECONDS, deadline - time.monotonic()))

    def _open_book(self, mirrors: Mirrors) -> Book:
        """Return the books, with what earlier drivers left brought level; from here on this one counts.

        Raises:
            StudyError: If another driver is ending the study.
        """
        request = self.request
        book = Book(
            name=request.study,
            space=request.space,
            store=self.store,
            study=self.study,
            tracker=mirrors,
            build=partial(_job, request, self.data, self.plan),
            crew=self.crew,
        )
        with self.crew.turn():
            check_nobody_ends(self.crew, request.study)
            book.recover()
            self.crew.stay()
        return book

    def _deadline(self) -> float | None:
        timeout = self.request.timeout_seconds
        return None if timeout is None else self.began + timeout

    def _trained(self, book: Book) -> float:
        """Return the seconds of training steps of trials and of finalists' repeats so far."""
        return sum(t.train_seconds for t in (*book.trials, *read_logs(self.store.race(book.name))))

    def _tidy_up(self, book: Book, *, keep: Trial | None) -> None:
        """Delete what killed workers left, and checkpoints that nobody needs; a pruned winner keeps its own."""
        for trial in book.trials:
            directory = self.store.job(book.name, trial.number)
            remove_leftovers(directory)
            if trial.state is State.PRUNED and (keep is None or trial.number != keep.number):
                remove_state(directory)

    def _ending(self, executor: Executor, mirrors: Mirrors) -> Ending:
        return Ending(
            request=self.request,
            store=self.store,
            study=self.study,
            data=self.data,
            plan=self.plan,
            executor=executor,
            watch=self.watch,
            is_interrupted=self.is_interrupted,
            deadline=self._deadline(),
            seconds_behind=mirrors.seconds_behind,
        )

    def _room(self, strategy: Strategy, book: Book) -> Room:
        budget, directory = self.request.disk_bytes, partial(self.store.job, self.request.study)
        if budget is None:
            taken = sum(size_of(directory(trial.number)).total for trial in book.trials)
            budget = default_budget(self.store.root, taken=taken)
        standing = remembered_standing(self.study)  # of an earlier run, whose winner may win again
        return Room(
            budget=budget,
            directory=directory,
            needed=frozenset() if standing is None else frozenset({standing.winner}),
            expected=strategy.expected,
            objective=self.request.space.objective.metric,
        )

    def _engine(self, book: Book, executor: Executor, ending: Ending) -> Engine:
        request = self.request
        space = replace(request.space, baselines=(*request.space.baselines, *self.warm))
        strategy = make_strategy(space, seed=request.seed, sampler=request.sampler, scheduler=request.scheduler)
        return Engine(
            book=book,
            sampler=strategy.sampler,
            scheduler=UntilEnough(
                scheduler=strategy.scheduler,
                enough=Enough.of(request),
                rungs=request.space.budget.rungs,
                objective=request.space.objective.metric,
                began=time.time(),
            ),
            executor=executor,
            data_root=self.data.root,
            max_trials=request.max_trials,
            deadline=self._deadline(),
            kept_free=ending.kept_free,
            crowded_out=self._room(strategy, book).crowded_out,
            is_interrupted=self.is_interrupted,
            watch=self.watch,
        )
