"""Turns the nested settings of a space file into flat parameters and constants.

A setting's path joins the keys that lead to it and leaves out the options, for a job knows only paths
(`optimizer.lr`); its name keeps the options, for a study needs each parameter once (`optimizer.sgd.lr`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spaces.documents import Where, part_of
from spaces.domains import Value
from spaces.errors import written
from spaces.forms import ChoiceForm, FloatForm, Group, IntForm, Setting
from spaces.space import Conditions, Constant, Param


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in the tree of settings, as the file, the job and the study call it."""

    where: Where = ("parameters",)
    path: str = ""
    name: str = ""
    when: Conditions = ()

    def below(self, key: str) -> "Spot":
        """Return the spot of a setting in a group that stands here."""
        path = f"{self.path}.{key}" if self.path else key
        name = f"{self.name}.{key}" if self.name else key
        return replace(self, where=(*self.where, key), path=path, name=name)

    def inside(self, option: Value) -> "Spot":
        """Return the spot of the settings that come with an option of the choice that stands here."""
        return Spot(
            where=(*self.where, "choice", part_of(option)),
            path=self.path,
            name=f"{self.name}.{written(option)}",
            when=(*self.when, (self.name, option)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The parameters and constants of a space."""

    params: tuple[Param, ...] = ()  # a choice stands before what hangs on it
    places: tuple[Where, ...] = ()  # of the parameters in the file, in their order
    constants: tuple[Constant, ...] = ()


def declared_in(group: Group) -> Declared:
    """Return what a file declares, in its order."""
    items = list(_items_in(group, Spot()))
    return Declared(
        params=tuple(item for _, item in items if isinstance(item, Param)),
        places=tuple(where for where, item in items if isinstance(item, Param)),
        constants=tuple(item for _, item in items if isinstance(item, Constant)),
    )


def _items_in(group: Group, spot: Spot) -> Iterator[tuple[Where, Param | Constant]]:
    for key, setting in group.root.items():
        yield from _items_of(setting, spot.below(key))


def _items_of(setting: Setting, spot: Spot) -> Iterator[tuple[Where, Param | Constant]]:
    if isinstance(setting, Group):
        yield from _items_in(setting, spot)
    elif isinstance(setting, FloatForm | IntForm | ChoiceForm):
        domain, guess = setting.domain(), setting.guess()
        yield spot.where, Param(name=spot.name, path=spot.path, domain=domain, when=spot.when, prior=guess)
        for option, group in setting.groups().items() if isinstance(setting, ChoiceForm) else ():
            yield from _items_in(group, spot.inside(option))
    else:
        yield spot.where, Constant(path=spot.path, value=setting, when=spot.when)
