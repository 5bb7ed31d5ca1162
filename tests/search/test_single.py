from dataclasses import replace
from pathlib import Path

import pytest

from search.errors import StudyError
from search.jobs import WATCHED, build_job, check_space
from search.single import Single, changed, from_file, from_space, from_trial, space_text, study_name, without_runtime
from spaces import DataSpec, Objective, SearchSpace, SpaceError, load_space, parse_space, preset_names
from trainer.config import flat, job_config
from trainer.errors import ConfigError


def single_of(text: str, tmp_path: Path) -> Single:
    (tmp_path / "job.yaml").write_text(text)
    return from_file(tmp_path / "job.yaml")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_gives_the_job_of_its_first_baseline(name: str) -> None:
    space = load_space(name)

    single = from_space(space)

    expected = space.settings(dict(space.baselines[0])) | {"training.epochs": space.budget.epochs}
    assert single.settings == expected
    assert single.source == space.data.source


def test_without_a_baseline_what_is_open_gets_the_job_s_default(small_space: SearchSpace) -> None:
    single = from_space(replace(small_space, baselines=()))

    assert job_config(single.settings).optimizer == job_config({"optimizer": "sgd"}).optimizer
    assert single.settings == {"training.epochs": 9, "augment.flip": "none", "optimizer": "sgd"}


def test_another_variant_forgets_the_settings_of_the_one_before(small_space: SearchSpace) -> None:
    single = changed(from_space(small_space), {"optimizer": "lion", "training.batch_size": 32})

    assert "optimizer.momentum" not in single.settings
    assert job_config(single.settings).optimizer == job_config({"optimizer": "lion"}).optimizer
    assert single.settings["training.batch_size"] == 32


def test_the_same_variant_again_keeps_its_settings(small_space: SearchSpace) -> None:
    single = from_space(small_space)

    assert changed(single, {"optimizer": "sgd"}) == single


@pytest.mark.parametrize("path", ["data", "seed"])
def test_what_is_not_the_job_s_to_say_is_refused_with_the_option(path: str, small_space: SearchSpace) -> None:
    with pytest.raises(StudyError, match=f"--{path}"):
        changed(from_space(small_space), {path: 1})


@pytest.mark.parametrize("name", preset_names())
def test_the_space_of_one_job_draws_that_job_and_no_other(name: str) -> None:
    single = from_space(load_space(name))

    space = parse_space(space_text(single, name="one"), file=Path("one.yaml"))

    check_space(space)
    assert space.num_configurations() == 1
    drawn = {param.name: param.domain.options[0] for param in space.params}  # type: ignore[union-attr]
    job = build_job(space, drawn, data="", seed=0, runtime={})
    watch = {"training.watch": WATCHED.get(single.objective.metric, "accuracy")}
    assert flat(job) == flat(job_config(watch | dict(single.settings)))
    assert (space.data, space.objective) == (single.data, single.objective)


def test_settings_that_make_no_job_are_refused(tmp_path: Path) -> None:
    single = single_of("optimizer: sgdd\ntraining.batch_size: 0", tmp_path)

    with pytest.raises(ConfigError, match="sgdd") as refused:
        space_text(single, name="one")
    assert "training.batch_size" in str(refused.value)


def test_a_file_of_a_trial_gives_its_settings_back(tmp_path: Path) -> None:
    single = single_of("data: 0123456789abcdef\nseed: 3\noptimizer: adamw\noptimizer.lr: 1e-3\n", tmp_path)

    assert single.seed == 3
    assert single.settings == {"optimizer": "adamw", "optimizer.lr": 0.001}
    assert single.source is None


def test_a_file_whose_seed_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`seed` must be a whole number from 0, got 'often'"):
        single_of("seed: often", tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no such file"):
        from_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["tiny", "tiny:", "tiny:x", ":3", "tiny:-1"])
def test_a_trial_is_named_by_study_and_number(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"STUDY:NUMBER|can't be called"):
        from_trial(name, store=tmp_path, storage=None)


def test_equal_jobs_share_a_name_and_others_do_not() -> None:
    single = Single(name="a", settings={"model": "vit"}, data=DataSpec(), objective=Objective(), source="x", seed=0)
    others = [
        single,
        replace(single, source="y"),
        replace(single, seed=1),
        changed(single, {"optimizer": "adam"}),
        replace(single, data=DataSpec(seed=1)),
    ]
    assert len({study_name(other) for other in others}) == len(others)
    assert study_name(replace(single)) == study_name(single)


def test_the_machine_s_part_can_be_left_out(tmp_path: Path) -> None:
    single = single_of("runtime.device: cuda\nruntime.micro_batch: 64\nmodel: vit", tmp_path)

    assert without_runtime(single).settings == {"model": "vit"}
