"""The model registry: versions with where they come from, and the alias that says which one is in service.

An alias is set without comparing, so the last writer would win unseen: whoever moves one holds the store's lock, looks
at what it points at, and reads it back afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from search.errors import StudyError
from search.promotion.package import EXTRA, MANIFEST, PackageError, digest_of
from search.storage import hide_password
from search.store import Store
from search.tracking.connect import open_tracking
from trainer.crashpoints import crash_point

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LOCK_SECONDS = 600.0  # that a promotion waits for another one
FORMER = "autoclf.former"  # version that an alias was taken from
DIGEST = "autoclf.graph"  # SHA-256 of the graph
MANIFEST_DIGEST = "autoclf.manifest"  # SHA-256 of the manifest, which holds those of all other files
READY = "READY"
NOTHING_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes, of both kinds of store


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a model, as the registry has it."""

    name: str
    number: str
    aliases: tuple[str, ...]
    status: str
    created_at: float  # seconds since 1970
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry of a tracking store."""

    client: "MlflowClient"
    uri: str
    lock: Path  # file

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other promotions away while the block lasts.

        Raises:
            StudyError: If another one does not end.
        """
        try:
            with FileLock(self.lock, timeout=LOCK_SECONDS):
                yield
        except Timeout:
            raise StudyError(
                f"Another promotion has held {self.lock} for {LOCK_SECONDS:.0f} s. End it, then try again."
            ) from None

    def champion(self, name: str, alias: str) -> Version | None:
        """Return the version that an alias points at, if there is one."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in NOTHING_THERE:
                return None
            raise
        return _version(found, (alias,))

    def version(self, name: str, number: str) -> Version | None:
        """Return a version by its number, if there is one."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self.client.get_model_version(name, number), ())
        except MlflowException as error:
            if error.error_code in NOTHING_THERE:
                return None
            raise

    def versions(self, name: str | None = None) -> Sequence[Version]:
        """Return all versions of a model, or of all models, the latest first.

        Raises:
            StudyError: If there is no such model.
        """
        names = (
            [name] if name is not None else [item.name for item in self._pages(self.client.search_registered_models)]
        )
        found: list[Version] = []
        for each in names:
            model = self._model(each)
            if model is None:
                raise StudyError(
                    f"There is no model {each!r} in {hide_password(self.uri)}. `autoclf models` lists them."
                )
            pointing: dict[str, list[str]] = {}
            for alias, number in (model.aliases or {}).items():
                pointing.setdefault(str(number), []).append(alias)
            listed = self._pages(self.client.search_model_versions, f"name = '{each}'")
            found += [_version(item, tuple(sorted(pointing.get(str(item.version), [])))) for item in listed]
        return sorted(found, key=lambda version: (version.name, -int(version.number)))

    def unused(self, name: str, digest: str) -> Version | None:
        """Return a version of the same graph that no alias points at, as a killed promotion leaves one."""
        if self._model(name) is None:
            return None
        same = (known for known in self.versions(name) if known.tags.get(DIGEST) == digest)
        return next((known for known in same if known.status == READY and not known.aliases), None)

    def register(
        self, name: str, *, about: str, source: str, run_id: str, model_id: str, tags: Mapping[str, str]
    ) -> str:
        """Make a version of a logged model; return its number. A new name is described."""
        if self._model(name) is None:
            self.client.create_registered_model(name, description=about)
        made = self.client.create_model_version(name, source, run_id=run_id, tags=dict(tags), model_id=model_id)
        return str(made.version)

    def download(self, version: Version, place: Path) -> Path:
        """Fetch the files of a version into an empty folder; return where they lie.

        Raises:
            StudyError: If they are gone.
            PackageError: If the manifest is not the one that was registered.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        what = f"{version.name!r} version {version.number}"
        try:
            source = f"models:/{version.name}/{version.number}"
            folder = Path(mlflow.artifacts.download_artifacts(source, dst_path=str(place)))
        except (MlflowException, OSError) as error:
            raise StudyError(f"The files of {what} can't be read: {error}") from None
        registered, manifest = version.tags.get(MANIFEST_DIGEST), folder / EXTRA / MANIFEST
        if registered is None or not manifest.is_file() or digest_of(manifest) != registered:
            raise PackageError(
                f"The manifest of {what} is not the one that was registered, so nothing in it can be trusted. "
                "Promote the model again, or restore its files."
            )
        return folder

    def point(self, name: str, alias: str, number: str, *, tags: Mapping[str, str]) -> None:
        """Make an alias point at a version, and read it back; only while it is held.

        Args:
            name: Of the model.
            alias: To be moved.
            number: Of the version.
            tags: Of the version, that say why: written before the alias moves, so that it never points at a version
                that can't say where it came from.
        """
        for key, value in tags.items():
            self.client.set_model_version_tag(name, number, key, value)
        crash_point("in_promotion")
        self.client.set_registered_model_alias(name, alias, number)
        now = self.champion(name, alias)
        if now is None or now.number != number:
            raise StudyError(
                f"The alias {alias!r} of {name!r} was set to version {number}, and points at "
                f"{now.number if now else 'nothing'}: somebody else moves it without the lock {self.lock}. Look at it "
                "with `autoclf models`, then try again."
            )

    def _model(self, name: str) -> Any:
        return next(iter(self.client.search_registered_models(f"name = '{name}'")), None)

    def _pages(self, search: Any, *arguments: str) -> Iterator[Any]:
        token = None
        while True:
            page = search(*arguments, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def open_registry(store: Store, tracking_uri: str | None) -> Registry:
    """Load MLflow and open the registry of a tracking store; a new store is made.

    Args:
        store: Whose lock promotions hold.
        tracking_uri: Of the tracking store, if not the store's own.
    """
    return Registry(
        open_tracking(store, tracking_uri), tracking_uri or store.tracking_uri, store.root / "registry.lock"
    )


def _version(found: Any, aliases: tuple[str, ...]) -> Version:
    return Version(
        name=found.name,
        number=str(found.version),
        aliases=aliases,
        status=str(found.status),
        created_at=found.creation_timestamp / 1000,
        tags=dict(found.tags or {}),
    )
