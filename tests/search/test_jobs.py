"""Where a space meets the trainer: every option makes a valid job, or the space is refused in words."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.jobs import build_job, check_space, example_draws, has_classical
from search.samplers import Tpe
from spaces import SearchSpace, SpaceError, Value, load_space, parse_space, preset_names
from trainer.config import flat, model_name
from trainer.errors import ConfigError


def _space(parameters: str, rest: str = "") -> SearchSpace:
    return parse_space(f"budget: {{rungs: [1, 3]}}\nparameters:\n{parameters}\n{rest}", file=Path("my.yaml"))


def _faults(parameters: str) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        check_space(_space(parameters))
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", preset_names())
def test_presets_pass(name: str) -> None:
    check_space(load_space(name))


def test_an_unknown_setting_is_answered_with_the_nearest() -> None:
    assert _faults("  optimizer: {momntum: {float: [0.1, 0.9]}}") == [
        "my.yaml: No training job has a setting 'optimizer.momntum'. Did you mean 'optimizer.momentum'?"
    ]


def test_an_unknown_constant_is_answered_too() -> None:
    assert _faults("  zzz: 3\n  training: {batch_size: {choice: [8, 16]}}") == [
        "my.yaml: No training job has a setting 'zzz'."
    ]


def test_every_unknown_setting_is_told_at_once() -> None:
    faults = _faults("  augment: {cutmx: {float: [0, 1]}}\n  training: {batchsize: 8}")

    assert [fault.partition("Did you mean")[2] for fault in faults] == [
        " 'augment.cutmix'?",
        " 'training.batch_size'?",
    ]


def test_a_variant_that_does_not_exist_is_answered_with_the_nearest() -> None:
    assert _faults("  optimizer: {choice: [sgd, muonn]}") == [
        "my.yaml: No optimizer is called 'muonn'. Did you mean 'muon'? Known: sgd, adam, adamw, muon, lion, timm."
    ]


def test_a_setting_of_another_variant_is_told_apart() -> None:
    assert _faults("  optimizer: {choice: {sgd: {beta1: {float: [0.8, 0.9]}}, lion: {}}}") == [
        "my.yaml: This job has no setting 'optimizer.beta1'. It belongs to optimizer adam and adamw and lion, "
        "and this job has sgd."
    ]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ("  optimizer: {lr: {float: [0.0, 1.0]}}", "`optimizer.lr` must be above 0, got 0.0."),
        ("  optimizer: {momentum: {float: [0.5, 1.0]}}", "`optimizer.momentum` must be in [0, 1), got 1.0."),
        ("  training: {batch_size: {int: [0, 8]}}", "`training.batch_size` must be in [1, 65536], got 0."),
        ("  model: {depth: {choice: [2, 9]}}", "`model.depth` must be in [1, 4], got 9."),
        ("  model: {depth: {float: [1.5, 3.5]}}", "`model.depth` must be a whole number, got 1.5."),
        ("  augment: {flip: {choice: [none, randm]}}", "got 'randm'. Did you mean 'random'?"),
        ("  augment: {flip: {choice: [true, none]}}", "`augment.flip` must be one of"),
    ],
)
def test_what_lies_outside_of_a_setting_is_refused(parameters: str, fault: str) -> None:
    assert any(fault in line for line in _faults(parameters))


def test_a_fault_below_one_option_is_found() -> None:
    faults = _faults(
        "  model: {choice: {vit: {dim: 64}, resnet9: {width: {int: [2, 8]}}}}\n"
        "  optimizer: {choice: {sgd: {}, muon: {momentum: {float: [0.5, 1.5]}}}}"
    )

    assert sorted(faults) == [
        "my.yaml: `model.width` must be in [4, 512], got 2.",
        "my.yaml: `optimizer.momentum` must be in [0, 1), got 1.5.",
    ]


def test_the_length_of_training_is_the_budgets() -> None:
    assert _faults("  training: {epochs: {choice: [3, 9]}}") == [
        "my.yaml: `training.epochs` is the last rung of `budget.rungs`; take it out of the parameters."
    ]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), preset=st.sampled_from(preset_names()))
def test_whatever_a_preset_draws_makes_a_job(seed: int, preset: str) -> None:
    space = load_space(preset)
    drawn = Tpe(space=space, seed=seed).draw([])

    job = build_job(space, drawn, data="abc", seed=seed, runtime={"runtime.threads": 2})

    assert flat(job).items() >= space.settings(drawn).items()
    assert (job.data, job.seed, job.training.epochs) == ("abc", seed, space.budget.epochs)
    assert job.runtime.threads == 2


@pytest.mark.parametrize(
    ("objective", "said", "watched"),
    [
        ("val/accuracy", "", "accuracy"),
        ("val/top5_accuracy", "", "accuracy"),
        ("val/loss", "", "loss"),
        ("val/f1_macro", "", "f1_macro"),
        ("val/loss", "  training.watch: accuracy", "accuracy"),
    ],
)
def test_a_job_goes_by_the_objective_unless_the_space_says_otherwise(objective: str, said: str, watched: str) -> None:
    space = _space(f"  training.batch_size: {{choice: [8, 16]}}\n{said}", rest=f"objective: {objective}")

    assert build_job(space, {"training.batch_size": 8}, data="", seed=0, runtime={}).training.watch == watched


def test_what_a_space_fixes_wins_over_the_machine() -> None:
    space = _space("  runtime: {precision: float32}\n  training: {batch_size: {choice: [8, 16]}}")
    machine: dict[str, Value] = {"runtime.precision": "bfloat16", "runtime.threads": 2}

    job = build_job(space, {"training.batch_size": 8}, data="", seed=0, runtime=machine)

    assert (job.runtime.precision, job.runtime.threads) == ("float32", 2)


def test_a_draw_that_makes_no_job_is_refused() -> None:
    space = _space("  training: {batch_size: {choice: [8, 16]}}")

    with pytest.raises(ConfigError, match=r"`training.batch_size` must be in \[1, 65536\], got 0"):
        build_job(space, {"training.batch_size": 0}, data="", seed=0, runtime={})


TWO_OF_TIMM = """
  model:
    choice:
      resnet9: {width: 8}
      timm:
        name: {choice: [resnet18, vit_tiny_patch16_224]}
        dropout: {float: [0.0, 0.5]}
      torchvision: {name: squeezenet1_1}
"""


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ("  model: {choice: [vit, resnet9]}", ["vit", "resnet9"]),
        ("  model: resnet18\n  training: {batch_size: {choice: [8, 16]}}", ["resnet18"]),
        ("  training: {batch_size: {choice: [8, 16]}}", ["fastnet"]),
        (TWO_OF_TIMM, ["resnet9", "timm:resnet18", "timm:vit_tiny_patch16_224", "torchvision:squeezenet1_1"]),
    ],
)
def test_there_is_an_example_of_each_network_that_a_space_can_draw(parameters: str, names: list[str]) -> None:
    space = _space(parameters)

    jobs = [build_job(space, drawn, data="", seed=0, runtime={}) for drawn in example_draws(space)]

    assert [model_name(job.model) for job in jobs] == names


def test_an_example_of_a_model_is_its_baseline() -> None:
    digits = load_space("digits")
    baseline = next(b for b in digits.baselines if b["model"] == "resnet9")

    drawn = next(drawn for drawn in example_draws(digits) if drawn["model"] == "resnet9")

    kept = {name: value for name, value in baseline.items() if not name.startswith("augment.")}
    assert kept.items() <= drawn.items()
    assert set(drawn) == {param.name for param in digits.active(drawn)}


@pytest.mark.parametrize("preset", preset_names())
def test_each_model_of_a_preset_has_an_example_that_makes_a_job(preset: str) -> None:
    space = load_space(preset)

    for drawn in example_draws(space):
        job = build_job(space, drawn, data="", seed=0, runtime={})
        assert flat(job)["model"] == drawn["model"]


def test_an_example_has_all_that_makes_a_step_costly_whatever_the_baseline_says() -> None:
    space = _space(
        "  model: {choice: {timm: {name: test_vit, pretrained: true, dropout: {float: [0.0, 0.5]}}}}\n"
        "  augment.cutout: {int: [0, 8]}",
        "baselines: [{model: timm, model.dropout: 0.0, augment.cutout: 0}]",
    )

    assert example_draws(space) == [{"model": "timm", "model.timm.dropout": 0.5, "augment.cutout": 8}]


def test_each_way_to_train_a_network_has_an_example() -> None:
    space = _space(
        "  model: {choice: {fastnet: {}, timm: {name: test_vit, pretrained: true}}}\n"
        "  transfer.train: {choice: [head, all]}"
    )

    found = [(drawn["model"], drawn["transfer.train"]) for drawn in example_draws(space)]

    assert found == [("fastnet", "head"), ("fastnet", "all"), ("timm", "head"), ("timm", "all")]


def test_without_a_baseline_an_example_takes_the_upper_ends() -> None:
    space = _space("  model: {choice: {fastnet: {}, vit: {depth: {int: [1, 6]}}}}")

    assert example_draws(space)[1] == {"model": "vit", "model.vit.depth": 6}


def test_a_seed_among_the_parameters_is_refused() -> None:
    assert "seed" in _faults("  seed: {int: [0, 9]}")[0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("choice: [fastnet, svm]", True), ("choice: {random_forest: {}}", True), ("choice: [fastnet, vit]", False)],
)
def test_models_without_epochs_are_known_among_those_of_a_space(model: str, expected: bool) -> None:
    rest = "  training: {batch_size: {choice: [8, 16]}}"

    assert has_classical(_space(f"  model: {{{model}}}\n{rest}")) is expected
    assert has_classical(_space(f"  model: svm\n{rest}"))
    assert not has_classical(_space(rest))
