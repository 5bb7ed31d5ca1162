"""How this machine will train: measured once, with nothing beside it, and kept as plain values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from search_samples import KILLED, learns

from search.alone import run_alone
from search.errors import StudyError
from search.executors import Gone
from search.executors.base import Cluster
from search.executors.scripted import Death, Script, ScriptedExecutor, curve
from search.notices import Notice, Watch
from search.plan import Plan, make_plan, num_cores, place_of, workers_here
from search.request import Request
from spaces import load_space
from trainer.config import JobConfig, flat, job_config
from trainer.orders import MeasureOrder, TestOrder, TrainOrder
from trainer.results import Failed, FeaturesMade, JobEvent, Measured, Reached

MEASURED = Measured(
    device="cpu",
    precision="bfloat16",
    channels_last=True,
    micro_batches={"fastnet": 250},
    images_per_second={"fastnet": 480.0},
    threads=2,
    workers=3,
)


class Bench:
    """Answers a measurement, and remembers what was asked."""

    def __init__(self, *answers: JobEvent | Gone) -> None:
        self.orders: list[MeasureOrder | TestOrder] = []
        self._answers = answers or (MEASURED,)
        self.executor = ScriptedExecutor(learns, answer=self._reply)

    def _reply(self, order: MeasureOrder | TestOrder) -> JobEvent | Gone:
        self.orders.append(order)
        return self._answers[min(len(self.orders), len(self._answers)) - 1]

    def plan(self, asked: Request, watch: Watch = lambda notice: None) -> Plan:
        return make_plan(self.executor, asked, watch, data_root=Path("data"), data="abc")


def _train(until: float) -> TrainOrder:
    return TrainOrder(config=JobConfig(), data_root=Path("data"), directory=Path("job"), until=until)


def test_a_plan_is_what_was_measured(asked: Request) -> None:
    plan = Bench().plan(asked)

    assert (plan.device, plan.precision, plan.threads, plan.workers) == ("cpu", "bfloat16", 2, 3)
    assert plan.micro_batches == {"fastnet": 250}


def test_one_job_of_each_model_is_measured(asked: Request) -> None:
    bench = Bench()

    bench.plan(replace(asked, space=load_space("digits")))

    (order,) = bench.orders
    assert isinstance(order, MeasureOrder)
    assert [flat(config)["model"] for config in order.configs] == ["fastnet", "resnet9", "vit"]
    assert {config.data for config in order.configs} == {"abc"}
    assert (order.device, order.num_cores, order.threads) == ("auto", num_cores(), None)


def test_the_workers_that_were_asked_for_share_the_cores(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.plan.num_cores", lambda: 8)
    bench = Bench()

    plan = bench.plan(replace(asked, workers=3))

    assert isinstance(bench.orders[0], MeasureOrder)
    assert bench.orders[0].threads == 2
    assert plan.workers == 3


def test_more_workers_than_cores_have_a_thread_each(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.plan.num_cores", lambda: 2)
    bench = Bench()

    bench.plan(replace(asked, workers=5))

    assert isinstance(bench.orders[0], MeasureOrder)
    assert bench.orders[0].threads == 1


def test_a_space_that_can_not_be_trained_here_is_refused(asked: Request) -> None:
    failed = Failed(reason="bad_config", message="Device 'cuda' is not there.", traceback="", at=0.0)

    with pytest.raises(StudyError, match=r"can't be trained on this machine: Device 'cuda' is not there\."):
        Bench(failed).plan(asked)


def test_a_measurement_that_dies_is_made_again(asked: Request) -> None:
    bench = Bench(Gone(KILLED), Gone(KILLED), MEASURED)

    assert bench.plan(asked) == Bench(MEASURED).plan(asked)
    assert len(bench.orders) == 3


def test_a_measurement_that_dies_again_and_again_is_told(asked: Request) -> None:
    bench = Bench(Gone(KILLED))

    with pytest.raises(StudyError, match="can't be trained on this machine: the process died"):
        bench.plan(asked)
    assert len(bench.orders) == 3


def test_how_far_the_features_of_a_frozen_network_are_is_told(asked: Request) -> None:
    told: list[Notice] = []

    Bench(FeaturesMade(done=64, total=80), MEASURED).plan(asked, told.append)

    assert [(notice.kind, notice.values) for notice in told] == [("features", {"done": 64, "total": 80})]


def test_a_plan_comes_back_from_json(asked: Request) -> None:
    plan = Bench().plan(asked)

    assert Plan(**json.loads(json.dumps(plan.record()))) == plan


def test_workers_of_another_machine_are_not_taken_over(asked: Request) -> None:
    plan = replace(Bench().plan(asked), workers=64, place="another machine", threads=1)

    assert workers_here(plan) == num_cores()
    assert workers_here(replace(plan, threads=10_000)) == 1
    assert workers_here(replace(plan, device="cuda")) >= 1
    assert Bench().plan(asked).place == place_of(asked)
    assert place_of(replace(asked, cluster=Cluster())) != place_of(asked)


def test_a_job_whose_machines_are_lost_is_tried_as_often(asked: Request) -> None:
    lost = Gone(KILLED, is_innocent=True)

    assert Bench(*[lost] * 5, MEASURED).plan(asked).threads == 2
    with pytest.raises(StudyError, match="died"):
        Bench(Gone(KILLED), lost, Gone(KILLED), Gone(KILLED), MEASURED).plan(asked)


def test_a_plan_decides_the_runtime_of_a_job(asked: Request) -> None:
    runtime = Bench().plan(asked).runtime("fastnet")

    job = job_config(runtime)

    assert (job.runtime.precision, job.runtime.micro_batch, job.runtime.threads) == ("bfloat16", 250, 2)


def test_a_job_that_runs_alone_ends_with_its_last_event() -> None:
    last = run_alone(ScriptedExecutor(learns), _train(1.0))

    assert isinstance(last, Reached)


def test_a_job_that_dies_alone_leaves_the_event_before_its_death() -> None:
    script = Script(results=curve([0.5]), mishaps=(Death(0.0, KILLED),))

    last = run_alone(ScriptedExecutor(lambda _number, _config: script), _train(1.0))

    assert not isinstance(last, Reached)


def test_what_workers_of_the_search_still_say_is_left_out() -> None:
    executor = ScriptedExecutor(learns, num_slots=2)
    executor.start(7, _train(9.0))

    last = run_alone(executor, _train(1.0))

    assert isinstance(last, Reached)
    assert last.epoch == 1.0


def test_this_machine_has_a_core() -> None:
    assert num_cores() >= 1
