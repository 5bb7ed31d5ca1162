"""From what a command calls a model to the files of its package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from search.errors import StudyError
from search.promotion.registry import Registry, Version, open_registry
from search.store import open_existing_store
from serving.reference import Folder, Registered


@contextmanager
def fetched(model: Registered | Folder, *, store: Path, tracking_uri: str | None) -> Iterator[Path]:
    """Provide the folder of a package while the block lasts.

    Args:
        model: That is wanted.
        store: Whose registry is asked.
        tracking_uri: Of the registry, if not the store's own.

    Raises:
        StudyError: If there is no such model, or its files are gone.
    """
    if isinstance(model, Folder):
        yield model.path
        return
    registry = open_registry(open_existing_store(store), tracking_uri)
    with TemporaryDirectory(prefix="autoclf-") as place:
        yield registry.download(version_of(registry, model), Path(place))


def version_of(registry: Registry, model: Registered) -> Version:
    """Return the version that a reference means now.

    Raises:
        StudyError: If there is none; the message lists the aliases that there are.
    """
    if model.version is not None:
        found = registry.version(model.name, model.version)
    else:
        assert model.alias is not None
        found = registry.champion(model.name, model.alias)
    if found is not None:
        return found
    known = registry.versions(model.name)  # raises where there is no such model
    aliases = sorted({alias for version in known for alias in version.aliases})
    numbers = ", ".join(f"v{version.number}" for version in reversed(known)) or "none"
    raise StudyError(
        f"There is no {model}. {model.name!r} has the aliases {', '.join(aliases) or '(none)'} and the versions "
        f"{numbers}."
    )
