"""Settings of one job in YAML: flat or nested, every value one of its own and no range."""

from collections.abc import Iterable, Iterator, Mapping

from spaces.documents import Where, read_document
from spaces.domains import Value
from spaces.errors import Fault, refusal, shown


def read_settings(text: str, *, name: str) -> dict[str, Value]:
    """Return settings by dotted path.

    Args:
        text: YAML such as `optimizer: sgd`, `optimizer.lr: 0.1`; nested mappings are joined by dots.
        name: Stands for the text in messages.

    Raises:
        SpaceError: With every fault of the text, one a line.
    """
    document = read_document(text, name=name)
    faults = list(document.faults)
    found: dict[str, Value] = {}
    for where, path, value in _leaves(document.content, (), ""):
        if value is None or isinstance(value, list):
            faults.append(document.fault(where, f"must be text, a number, true or false, got {shown(value)}."))
        elif path in found:
            faults.append(document.fault(where, f"`{path}` is there twice: leave one out."))
        else:
            assert isinstance(value, str | int | float | bool)
            found[path] = value
    if faults:
        raise refusal(name, faults)
    return found


def read_changes(texts: Iterable[str]) -> dict[str, Value]:
    """Read several `PATH=VALUE` as they are written on a command line; of one path, the last counts.

    Raises:
        SpaceError: If one has another form.
    """
    return {path: value for text in texts for path, value in _read_change(text).items()}


def _read_change(text: str) -> dict[str, Value]:
    """Read `PATH=VALUE`; the value is YAML, so that 1e-3 is a number."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        message = f"must be PATH=VALUE, such as optimizer.lr=0.1, got {shown(text)}."
        raise refusal("--set", [Fault(1, "", message)])
    return read_settings(f"{path.strip()}: {value.strip()}", name="--set")


def _leaves(content: Mapping[object, object], where: Where, above: str) -> Iterator[tuple[Where, str, object]]:
    for key, value in content.items():
        path = f"{above}.{key}" if above else str(key)
        here = (*where, str(key))
        if isinstance(value, dict) and value:
            yield from _leaves(value, here, path)
        else:
            yield here, path, None if isinstance(value, dict) else value
