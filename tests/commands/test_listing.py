"""The list of channels that a server starts with."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import h5py
import numpy as np
from rich.console import Console

from bfly.butterfly import configuration
from bfly.commands import listing

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def printed(folder: Path) -> list[str]:
    out = io.StringIO()
    listing.list_channels(configuration(str(folder)), Console(file=out, width=40))
    return out.getvalue().splitlines()


def test_each_channel_is_described_and_many_are_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    (folder / "[red]").mkdir(parents=True)
    with h5py.File(folder / "[red]" / "em.h5", "w") as file:
        file["main"] = np.zeros((3, 40, 50), "f4")
        file["main"].attrs["resolution"] = [40, 4, 4.5]
    for number in range(14):
        with h5py.File(folder / f"{number:02}.h5", "w") as file:
            file["main"] = np.zeros((3, 4, 5), "f4")
    (folder / "00.h5").write_bytes((folder / "00.h5").read_bytes()[:-400])
    lines = printed(folder)
    assert lines[:2] == [
        f"root / data / [red]: 1 channel in {folder}/[red]",
        "  em.h5: image of float32 (dtype: float32), 3 × 40 × 50, voxels of 40 × 4 × 4.5 nm "
        "(file: attribute resolution)",
    ]
    assert lines[2] == f"root / data / data: 14 channels in {folder}"
    assert lines[3].startswith(f"  00.h5: will not be served: {folder}/00.h5")
    assert lines[4].startswith("  01.h5: image of float32 (dtype: float32), 3 × 4 × 5, voxel size ")
    assert lines[-1] == "  … 2 more; 'bfly doctor' shows all"
    monkeypatch.setattr(listing, "SECONDS", -1)
    assert printed(folder)[1] == "  … 1 more; 'bfly doctor' shows all"
