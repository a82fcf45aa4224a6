from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import pytest

from bfly.doctor.files import files
from bfly.doctor.subject import Subject
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


def messages(path: Path) -> list[str]:
    volume = Volume.open(ChannelSpec(str(path)))
    return [finding.message for finding in files(Subject("em", "", volume))]


@pytest.mark.parametrize("encode", [imagecodecs.png_encode, imagecodecs.jpeg8_encode])
def test_images_that_are_cut_short_or_empty_are_told(encode, tmp_path: Path) -> None:
    ending = "png" if encode is imagecodecs.png_encode else "jpg"
    for z, section in enumerate(random_volume((5, 64, 64), "uint8")):
        (tmp_path / f"{z}.{ending}").write_bytes(encode(section))
    assert messages(tmp_path) == []
    whole = (tmp_path / f"1.{ending}").read_bytes()
    (tmp_path / f"1.{ending}").write_bytes(whole + b"a few bytes more")
    assert messages(tmp_path) == []
    (tmp_path / f"2.{ending}").write_bytes(whole[:-20])
    (tmp_path / f"4.{ending}").write_bytes(b"")
    empty, cut = messages(tmp_path)
    assert empty == f"1 of 5 files is empty: {tmp_path}/4.{ending}."
    assert cut == f"1 of 5 files is cut short: {tmp_path}/2.{ending}."
