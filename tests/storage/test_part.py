"""Parts of files and folders in the paths of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bfly.errors import SourceError
from bfly.storage.part import WHOLE, Part, split_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("volumes/raw", Part("volumes/raw")),
        ("/volumes/raw", Part("volumes/raw")),
        ("c=1", Part("", (("c", "1"),))),
        ("c=DAPI,t=0", Part("", (("c", "DAPI"), ("t", "0")))),
        ("a,b/raw,c=1,t=12", Part("a,b/raw", (("c", "1"), ("t", "12")))),
        ("", WHOLE),
    ],
)
def test_a_part_is_read_and_written(text: str, part: Part) -> None:
    assert Part.parse(text) == part == Part.parse(str(part))
    assert bool(part) is bool(text)


def test_the_path_of_a_channel_is_split(tmp_path: Path) -> None:
    file = tmp_path / "a#1.h5"
    file.touch()
    assert split_path(str(file)) == (str(file), WHOLE)
    assert split_path(f"{file}#raw") == (str(file), Part("raw"))
    assert split_path(f"{tmp_path}/b.h5#raw") == (f"{tmp_path}/b.h5", Part("raw"))
    url = "https://lab.org/img.zarr"
    assert split_path(url) == (url, WHOLE)
    assert split_path(f"{url}#c=1") == (url, Part("", (("c", "1"),)))


def test_an_index_is_on_its_axis() -> None:
    part = Part.parse("c=2,t=x")
    assert part.index("c", 3, "img.zarr") == 2
    assert part.index("s", 1, "img.zarr") == 0
    for axis, length in (("c", 2), ("t", 9)):
        with pytest.raises(SourceError, match=f"img.zarr: {axis} is .*; allowed are 0 to "):
            part.index(axis, length, "img.zarr")
