"""Finds declared spaces: the presets that come with this package, and the user's own files."""

from pathlib import Path

from spaces.documents import read_text
from spaces.errors import SpaceError, did_you_mean, shown
from spaces.forms import SpaceForm
from spaces.parsing import parse_space
from spaces.space import SearchSpace

PRESETS = Path(__file__).parent / "presets"
SUFFIXES = (".yaml", ".yml")


def load_space(name_or_file: str | Path, *, search_in: Path | None = None) -> SearchSpace:
    """Load a space: a preset by its name, or a file.

    A preset goes before a file or folder of the same name; `./digits` is always the file.

    Args:
        name_or_file: A name such as `digits`; or a path, which has a suffix or a separator, or exists.
        search_in: The folder in which relative paths begin, if not the working directory.

    Raises:
        SpaceError: If there is no such space, or its file has faults, of which it then lists all.
    """
    if str(name_or_file) in preset_names():
        path = PRESETS / f"{name_or_file}.yaml"
    elif _is_path(name_or_file, search_in or Path()):
        path = (search_in or Path()) / name_or_file
    else:
        raise SpaceError(_unknown(str(name_or_file)))
    return parse_space(read_text(path), file=path)


def preset_names() -> tuple[str, ...]:
    """Return the names of the spaces that come with autoclf, in alphabetical order."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def preset_text(name: str) -> str:
    """Return the file of a preset, as a pattern for one's own.

    Raises:
        SpaceError: If there is no such preset.
    """
    if name not in preset_names():
        raise SpaceError(_unknown(name))
    return read_text(PRESETS / f"{name}.yaml")


def json_schema() -> dict[str, object]:
    """Return the JSON schema of a space file, by which editors complete and check it."""
    schema = SpaceForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": "autoclf search space"}


def _is_path(name: str | Path, folder: Path) -> bool:
    """Whether a name that no preset has means a file, there or not."""
    if "\0" in str(name):
        return False
    if isinstance(name, Path) or Path(name).suffix in SUFFIXES or any(mark in name for mark in "/\\"):
        return True
    try:
        return name != "" and (folder / name).exists()
    except OSError:  # longer than a file's name can be
        return False


def _unknown(name: str) -> str:
    known = preset_names()
    return (
        f"No space is called {shown(name)}.{did_you_mean(name, known)} Known: {', '.join(known)}. "
        f"A file of your own is named with its suffix: my-space.yaml."
    )
