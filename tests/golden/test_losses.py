import pytest

from tests.golden.recipes import RECIPES, losses, path_of, stored


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_a_training_gives_the_losses_that_it_always_gave(recipe: str) -> None:
    expected = stored(recipe)

    found = losses(recipe)

    assert found["config"] == expected["config"], "the recipe itself has changed"
    for name in ("train_loss", "val_loss", "val_accuracy"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name


def test_every_file_of_numbers_belongs_to_a_recipe() -> None:
    files = set(path_of("any").parent.glob("*.json"))

    assert files == {path_of(recipe) for recipe in RECIPES}
