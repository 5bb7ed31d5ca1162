"""What an hour on CIFAR-10 is told by."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cifar_hour import CONTESTANTS, Story, draw

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(SCORES)
def test_a_story_keeps_what_was_better_than_all_before(scores: list[float]) -> None:
    story = Story(name="some", minutes=60)

    for second, score in enumerate(scores):
        story.tell(float(second), score)

    kept = [score for _, score in story.best]
    assert kept == sorted(set(kept))
    assert kept[-1] == max(scores)
    assert story.best[0] == (0.0, scores[0])


def test_stories_are_drawn(tmp_path: Path) -> None:
    stories = [
        Story(name=name, minutes=60, best=[(60.0, 0.5), (1800.0, 0.9)], test=0.89, trials=3, seconds=3500.0)
        for name in CONTESTANTS
    ]

    draw(stories, tmp_path / "hour.png")

    assert (tmp_path / "hour.png").read_bytes().startswith(b"\x89PNG")
