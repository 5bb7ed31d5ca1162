"""An alias is followed: what it points at comes into service once it is sound; whatever happens, something serves."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from search.errors import StudyError
from search.promotion.package import GRAPH
from search.promotion.registry import Version
from serving.reference import Registered
from serving.server import following
from serving.server.following import Follower
from serving.server.pointer import read_pointer
from tests.serving.packages import make_package


@dataclass
class FakeRegistry:
    """A registry whose versions are folders."""

    root: Path
    points_at: str | None = "1"
    is_away: bool = False
    fetched: list[str] = field(default_factory=list)

    def champion(self, name: str, alias: str) -> Version | None:
        if self.is_away:
            raise ConnectionError("nobody answers")
        if self.points_at is None:
            return None
        return Version(name=name, number=self.points_at, aliases=(alias,), status="READY", created_at=0.0, tags={})

    def versions(self, name: str) -> Sequence[Version]:
        return ()

    def download(self, version: Version, place: Path) -> Path:
        self.fetched.append(version.number)
        return Path(shutil.copytree(self.root / version.number, place / "package"))


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    for number in ("1", "2", "3"):
        make_package(tmp_path / "registry" / number)
    (tmp_path / "registry" / "2" / GRAPH).write_bytes(b"x")
    return FakeRegistry(tmp_path / "registry")


@pytest.fixture
def follower(tmp_path: Path, registry: FakeRegistry) -> Follower:
    return Follower(
        registry=registry,  # type: ignore[arg-type]
        model=Registered("pets", "champion", None),
        place=tmp_path / "models",
        pointer=tmp_path / "pointer.json",
    )


def in_service(follower: Follower) -> str | None:
    return read_pointer(follower.pointer).version


def test_it_begins_with_what_the_alias_points_at(follower: Follower) -> None:
    package = follower.begin()

    assert (package.model, package.version) == ("pets@champion", "1")
    assert in_service(follower) == "1"


@pytest.mark.logs_errors
def test_a_new_version_is_taken_and_a_bad_one_is_not(follower: Follower, registry: FakeRegistry) -> None:
    follower.begin()
    registry.points_at = "2"
    follower.look()
    follower.look()
    assert in_service(follower) == "1"
    assert registry.fetched == ["1", "2"], "what was refused is not fetched again at once"
    assert not (follower.place / "2").exists()

    registry.points_at = "3"
    follower.look()
    assert in_service(follower) == "3"


@pytest.mark.logs_errors
def test_what_was_refused_is_tried_again_later(
    follower: Follower, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.begin()
    registry.points_at = "2"
    follower.look()
    shutil.copy(registry.root / "3" / GRAPH, registry.root / "2" / GRAPH)
    monkeypatch.setattr(following, "AGAIN_SECONDS", 0.0)

    follower.look()

    assert in_service(follower) == "2"


def test_a_registry_that_is_away_or_an_alias_that_is_gone_changes_nothing(
    follower: Follower, registry: FakeRegistry
) -> None:
    follower.begin()
    registry.is_away = True
    follower.look()
    registry.is_away, registry.points_at = False, None
    follower.look()

    assert in_service(follower) == "1"


def test_nothing_begins_without_a_sound_model(follower: Follower, registry: FakeRegistry) -> None:
    for points_at in ("2", None):
        registry.points_at = points_at
        with pytest.raises(StudyError):
            follower.begin()
    assert not follower.pointer.exists()
