"""The keywords of a query: as they are given, as attributes, and as named fields."""

from __future__ import annotations

from functools import cached_property
from mimetypes import types_map
from typing import TYPE_CHECKING, Any, ClassVar

from bfly.errors import BadRequest
from bfly.keywords import INPUT, OUTPUT, RUNTIME
from bfly.validation import one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.keywords import NamelessStruct
    from bfly.validation import Allowed

__all__ = ["Keyworded"]


class Keyworded:
    """Base of `Query`, which explains the keywords.

    Attributes
    ----------
    keywords : dict
        All keywords that were given, also those that are not in `WORDS`.
    INPUT, RUNTIME, OUTPUT
        The documented fields, which read and set attributes of this query.
    """

    WORDS: ClassVar[dict[str, str]] = {}
    """Attribute that each keyword sets."""

    ALLOWED: ClassVar[dict[str, Allowed]] = {}
    """Allowed values of the keywords that come from the wire as they are."""

    _INPUT: ClassVar[dict[str, str]] = {}
    _RUNTIME: ClassVar[dict[str, str]] = {}
    _OUTPUT: ClassVar[dict[str, str]] = {}

    method: str = ""

    def __init__(self, **keywords: Any) -> None:
        self.keywords: dict[str, Any] = {}
        self.update_keys(keywords)

    def update_keys(self, keywords: Mapping[str, Any]) -> None:
        """Keep keywords, and set the attributes of those in `WORDS`.

        Raises
        ------
        BadRequest
            A value is not allowed.
        """
        self.keywords.update(keywords)
        self._take(keywords)

    def _take(self, keywords: Mapping[str, Any]) -> None:
        for word, value in keywords.items():
            if word not in self.WORDS:
                continue
            if word in self.ALLOWED:
                value = self.ALLOWED[word].read(word, value)
            setattr(self, self.WORDS[word], value)

    def set_key(self, struct: NamelessStruct, key: str, empty: Any = "") -> None:
        """Set a field to the keyword of its name.

        Parameters
        ----------
        struct : NamelessStruct
            Has the field.
        key : str
            The field's attribute or name.
        empty : object
            The value if there is no such keyword, and the field has no value yet.
        """
        field = struct[key]
        value = self.keywords.get(field.NAME, field.VALUE)
        field.VALUE = empty if value is None else value

    @cached_property
    def INPUT(self) -> INPUT:  # noqa: N802 - documented name
        """The request, as named fields."""
        return INPUT().bind(self, self._INPUT)

    @cached_property
    def RUNTIME(self) -> RUNTIME:  # noqa: N802
        """Metadata of the source, as named fields."""
        return RUNTIME().bind(self, self._RUNTIME)

    @cached_property
    def OUTPUT(self) -> OUTPUT:  # noqa: N802
        """The answer, as named fields."""
        return OUTPUT().bind(self, self._OUTPUT)

    @property
    def is_data(self) -> bool:
        """Whether the answer is voxels."""
        return self.method in INPUT.METHODS.IMAGE_LIST

    @property
    def is_group(self) -> bool:
        """Whether the answer is a list of names."""
        return self.method in INPUT.METHODS.GROUP_LIST

    @property
    def is_dataset(self) -> bool:
        """Whether the answer is about a dataset as a whole."""
        return self.method == "project_info"

    @property
    def is_websocket(self) -> bool:
        """Whether the answer is about edits."""
        return bool(self.method.partition(":")[0] == INPUT.METHODS.WEBSOCKET.NAME)

    @property
    def mime_type(self) -> str:
        """Media type of the answer."""
        words = self.INPUT.IMAGE if self.is_data else self.INPUT.INFO
        return types_map.get(f".{words.FORMAT.VALUE}", "text/plain")

    @staticmethod
    def check_list(whitelist: Iterable[str], value: Any, term: str) -> None:
        """Raise `BadRequest` if a value is not in a list; `term` names it in the message."""
        one_of(term, value, whitelist)

    @staticmethod
    def check_vector(value: Any, term: str = "list", dims: int = 3) -> None:
        """Raise `BadRequest` if a value is not a vector of so many numbers."""
        try:
            numbers = [int(number) for number in value]
        except (TypeError, ValueError):
            raise BadRequest(f"The {term} {value} is not a vector.") from None
        if len(numbers) != dims:
            raise BadRequest(f"The {term} {value} does not have {dims} dimensions.")
