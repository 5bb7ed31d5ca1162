import pytest

from tests.golden.recipes import RECIPES, losses, path_of, stored


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_a_training_gives_the_losses_that_it_always_gave(recipe: str) -> None:
    expected = stored(recipe)

    found = losses(recipe)

    assert found.keys() == expected.keys()
    for name, numbers in found.items():
        assert numbers == pytest.approx(expected[name], rel=1e-4), name


def test_every_file_of_numbers_belongs_to_a_recipe() -> None:
    files = set(path_of("any").parent.glob("*.json"))

    assert files == {path_of(recipe) for recipe in RECIPES}
