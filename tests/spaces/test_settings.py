import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import SpaceError, read_changes, read_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer: sgd", {"optimizer": "sgd"}),
        ("optimizer.lr: 1e-3", {"optimizer.lr": 0.001}),
        ("augment: {flip: none, cutout: 4}", {"augment.flip": "none", "augment.cutout": 4}),
        ("runtime.channels_last: true", {"runtime.channels_last": True}),
        ("{}", {}),
    ],
)
def test_settings_are_flat_or_nested(text: str, expected: dict[str, object]) -> None:
    assert read_settings(text, name="a.yaml") == expected


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("optimizer: [sgd, adam]", ["a.yaml:1: optimizer", "got ['sgd', 'adam']"]),
        ("x: 1\noptimizer:", ["a.yaml:2: optimizer", "got nothing"]),
        ("optimizer: {}", ["optimizer", "got nothing"]),
        ("optimizer: {lr: 1}\noptimizer.lr: 2", ["a.yaml:2: optimizer.lr", "twice"]),
        ("- a", ["must be a mapping"]),
        ("x: !!python/name:os.system", ["tag"]),
    ],
)
def test_what_is_no_setting_is_refused_at_its_place(text: str, wanted: list[str]) -> None:
    with pytest.raises(SpaceError) as refused:
        read_settings(text, name="a.yaml")
    assert all(part in str(refused.value) for part in wanted)


def test_a_change_is_read_as_yaml() -> None:
    assert read_changes(["optimizer.lr=1e-4"]) == {"optimizer.lr": 1e-4}
    assert read_changes([" optimizer = lion "]) == {"optimizer": "lion"}
    assert read_changes(["augment={flip: random}"]) == {"augment.flip": "random"}


@pytest.mark.parametrize("text", ["", "optimizer", "=0.1", "optimizer.lr=", "a: b=c: d: e", "a=[1, 2]"])
def test_what_is_no_change_is_refused_with_an_example_or_a_reason(text: str) -> None:
    with pytest.raises(SpaceError, match="--set"):
        read_changes([text])


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_changes([text])
    except SpaceError:
        return
    assert all(isinstance(value, str | int | float | bool) for value in found.values())
