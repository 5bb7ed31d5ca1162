import pytest

from trainer.errors import ConfigError, did_you_mean, pick

TABLE = {"resnet9": 1, "resnet18": 2, "vit": 3}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("resnet_9", " Did you mean 'resnet9'?"),
        ("vitt", " Did you mean 'vit'?"),
        ("mobilenet-v3", ""),
        ("", ""),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(name: str, answer: str) -> None:
    assert did_you_mean(name, TABLE) == answer


def test_a_known_name_picks_its_entry() -> None:
    assert pick(TABLE, "vit", kind="model") == 3


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        pick(TABLE, "resnet_9", kind="model")

    assert str(caught.value) == (
        "No model is called 'resnet_9'. Did you mean 'resnet9'? Known: resnet18, resnet9, vit."
    )
