"""Turns the text of a space file into a search space, or says everything that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from spaces.baselines import BaselineReader
from spaces.conflicts import conflicts_in
from spaces.documents import Document, read_document
from spaces.errors import Fault, refusal, shown
from spaces.faults import faults_of
from spaces.forms import Baselines, Group, SpaceForm, is_name
from spaces.parameters import Declared, declared_in
from spaces.space import SearchSpace

T = TypeVar("T")

PARAMETERS: TypeAdapter[Group] = TypeAdapter(Group)
BASELINES: TypeAdapter[Baselines] = TypeAdapter(Baselines)


def parse_space(text: str, *, file: Path) -> SearchSpace:
    """Build the space that a text declares.

    Args:
        text: YAML in the form that `json_schema` describes.
        file: Names the text in messages, and the space where the text does not name it.

    Raises:
        SpaceError: With every fault of the text, one a line.
    """
    document = read_document(text, name=str(file))
    form, form_faults = _form_of(document)
    group = form.parameters if form else _valid_part(document, "parameters", PARAMETERS)
    declared = declared_in(group) if group else Declared()
    reader = BaselineReader(params=declared.params, constants=declared.constants, document=document)
    entries = _valid_part(document, "baselines", BASELINES) if group else None
    baselines = reader.read(entries or [])
    faults = [*document.faults, *form_faults, *_stem_faults(document, file), *reader.faults]
    if group:
        faults += conflicts_in(group, declared, document)
    if form is None or faults:
        raise refusal(document.name, faults)
    return SearchSpace(
        name=form.name or file.stem,
        about=form.about,
        data=form.data_spec(),
        objective=form.objective_spec(),
        budget=form.budget.spec(),
        params=declared.params,
        constants=declared.constants,
        baselines=baselines,
        file=file,
        constraints=form.constraints.spec(),
    )


def _form_of(document: Document) -> tuple[SpaceForm | None, list[Fault]]:
    try:
        return SpaceForm.model_validate(document.content), []
    except ValidationError as error:
        return None, list(faults_of(error, document))


def _valid_part(document: Document, key: str, kind: TypeAdapter[T]) -> T | None:
    """Return one part of the file, or None if it is absent or at fault; its faults are known already."""
    try:
        return kind.validate_python(document.content.get(key))
    except ValidationError:
        return None


def _stem_faults(document: Document, file: Path) -> Iterator[Fault]:
    """Yield a fault if the space has to be named after a file whose name is no name for a space."""
    if "name" not in document.content and not is_name(file.stem):
        yield document.fault(
            ("name",), f"the file's name, {shown(file.stem)}, is no name for a space: write `name: my-space`."
        )
