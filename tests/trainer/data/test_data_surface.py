import trainer.data
from tests.trainer.data.data_samples import start_python


def test_the_package_exports_what_it_names_in_order() -> None:
    names = trainer.data.__all__

    assert names == sorted(names, key=lambda name: (name.islower(), name))
    assert all(hasattr(trainer.data, name) for name in names)


def test_the_test_split_has_no_door_in_the_package() -> None:
    assert not [name for name in trainer.data.__all__ if "test" in name]


def test_the_import_brings_no_heavy_library() -> None:
    code = "import sys, trainer.data; print(*sys.modules)"

    out, err = start_python(code).communicate(timeout=60)

    assert "trainer.data" in out.split(), err
    assert not {"torch", "torchvision", "sklearn", "scipy", "pandas"} & set(out.split())
