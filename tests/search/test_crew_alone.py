"""One driver, with nobody to ask."""

from search.crew import Alone, Crew

FITS: Crew = Alone()  # the type checker proves it


def test_alone_every_trial_is_its_own() -> None:
    crew = Alone()
    with crew.turn() as changed:
        assert changed == frozenset()
        crew.claim(3)
        assert crew.claimed() == {3: True}
        with crew.writing(4):
            pass
        assert crew.abandoned() == []
        assert not crew.leave_to_others()
    crew.release(3)
    crew.release(3)
    assert crew.claimed() == {}
