"""The documented structures of keywords: fields below fields, by attribute or by name."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

__all__ = ["NamedStruct", "NamelessStruct", "Words"]


class NamelessStruct:
    """A group of fields, as attributes and as items.

    Parameters
    ----------
    VALUE : object
        The current value, or the default.
    **_keywords
        The fields below it, and lists of words.

    Attributes
    ----------
    LIST : list
        Words of the argument ``LIST``, then those of other lists, and the names of the fields.
    """

    def __init__(self, *, VALUE: Any = None, **_keywords: Any) -> None:  # noqa: N803
        self._value = VALUE
        self._bound: tuple[object, str] | None = None
        words = list(_keywords.get("LIST", ()))
        for part in _keywords.values():
            if isinstance(part, list):
                words += part
            elif isinstance(part, NamedStruct):
                words.append(part.NAME)
        self.__dict__.update(_keywords, LIST=list(dict.fromkeys(words)))

    @property
    def VALUE(self) -> Any:  # noqa: N802 - documented name
        """The current value, or the default."""
        return self._value if self._bound is None else getattr(*self._bound)

    @VALUE.setter
    def VALUE(self, value: Any) -> None:  # noqa: N802
        if self._bound is None:
            self._value = value
        else:
            setattr(*self._bound, value)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def _fields(self) -> dict[str, NamedStruct]:
        return {part.NAME: part for part in vars(self).values() if isinstance(part, NamedStruct)}

    def __getitem__(self, key: str) -> Any:
        """Return the attribute or the field of this name; None if there is none."""
        if key == "VALUE":
            return self.VALUE
        return vars(self).get(key, self._fields().get(key))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the attribute or the field of this name, or else `default`."""
        found = self[key]
        return default if found is None else found

    def __contains__(self, key: str) -> bool:
        return self[key] is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __repr__(self) -> str:
        return f"<{self.VALUE!r}, {list(self)}>"


class NamedStruct(NamelessStruct):
    """A field with a name.

    Parameters
    ----------
    _name : str
        The word on the wire, in the configuration or in a file; kept as ``NAME``.
    **_keywords
        Those of `NamelessStruct`.
    """

    def __init__(self, _name: str, **_keywords: Any) -> None:
        super().__init__(**_keywords)
        self.NAME = _name

    def __repr__(self) -> str:
        return f"<{self.NAME} = {self.VALUE!r}, {list(self)}>"


class Words(NamelessStruct):
    """Base of the documented classes of fields; each instance has its own copy of them."""

    def __init__(self) -> None:
        parts = vars(type(self)).items()
        fields = {name: part for name, part in parts if isinstance(part, NamelessStruct)}
        super().__init__(**deepcopy(fields))

    def bind(self, owner: object, attributes: dict[str, str]) -> Self:
        """Bind fields, by dotted path, to attributes of an owner, for reading and writing."""
        for path, attribute in attributes.items():
            field: NamelessStruct = self
            for name in path.split("."):
                field = getattr(field, name)
            field._bound = (owner, attribute)
        return self
