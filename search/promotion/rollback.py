"""Back to the version that an alias was taken from."""

from dataclasses import dataclass

from search.errors import StudyError
from search.promotion.registry import FORMER, READY, Registry, Version

LEFT = "autoclf.left"  # why an alias was taken away from a version


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback did."""

    name: str
    alias: str
    left: str  # version
    now: str  # version


def roll_back(registry: Registry, name: str, alias: str, *, why: str) -> RolledBack:
    """Make an alias point at the version that it pointed at before the present one was promoted.

    Args:
        registry: Of the model.
        name: Of the model.
        alias: To be moved back.
        why: Kept with the version that is left.

    Raises:
        StudyError: If there is no such alias, no version before it, or that one is gone.
    """
    with registry.held():
        present = registry.champion(name, alias)
        if present is None:
            raise StudyError(f"No version of {name!r} has the alias {alias!r}. `autoclf models` lists what there is.")
        former = _former(registry, present)
        registry.client.set_model_version_tag(name, present.number, LEFT, why or "rolled back")
        registry.point(name, alias, former.number, tags={})
    return RolledBack(name=name, alias=alias, left=present.number, now=former.number)


def _former(registry: Registry, present: Version) -> Version:
    number = present.tags.get(FORMER)
    if not number:
        raise StudyError(
            f"{present.name!r} version {present.number} took no other version's place, so there is nothing to go back "
            "to."
        )
    found = next((known for known in registry.versions(present.name) if known.number == number), None)
    if found is None or found.status != READY:
        raise StudyError(
            f"{present.name!r} version {number}, which version {present.number} took the place of, is gone. "
            "`autoclf models` lists what there is; `autoclf promote` makes another version."
        )
    return found
