"""Files of microscopes and other programs that are not read, and what converts each of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["UNREAD", "VERSIONS", "Unread", "unread_of"]


class Unread(NamedTuple):
    """A kind of file that is not read.

    Parameters
    ----------
    what : str
        The kind, with its article.
    remedy : str
        What makes files of it that are read, as an imperative sentence without its full stop.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


_BIOFORMATS = "Convert it to OME-Zarr with bioformats2raw, or save it as TIFF with Fiji"
_FIJI = "Open it in Fiji, and save it as TIFF"

UNREAD = {
    "czi": Unread("an image of ZEISS ZEN", _BIOFORMATS),
    "zvi": Unread("an image of ZEISS AxioVision", _BIOFORMATS),
    "nd2": Unread("an image of Nikon NIS-Elements", _BIOFORMATS),
    **dict.fromkeys(("lif", "lof", "xlef"), Unread("an image of Leica LAS", _BIOFORMATS)),
    **dict.fromkeys(("oib", "oir", "poir"), Unread("an image of Olympus FluoView", _BIOFORMATS)),
    "oif": Unread(
        "the description of an image of Olympus FluoView",
        "Its TIFF sections, in the folder of the same name that ends in .files, are served",
    ),
    **dict.fromkeys(("vsi", "ets"), Unread("an image of Olympus cellSens", _BIOFORMATS)),
    **dict.fromkeys(("stk", "pic", "sld"), Unread("an image of a light microscope", _BIOFORMATS)),
    **dict.fromkeys(
        ("dm3", "dm4"),
        Unread(
            "an image of Gatan DigitalMicrograph",
            "Save it as TIFF in DigitalMicrograph or Fiji, or convert it to MRC with IMOD's dm2mrc",
        ),
    ),
    **dict.fromkeys(("ser", "emi", "emd"), Unread("an image of an FEI or Velox microscope", _FIJI)),
    "ims": Unread(
        "an image of Imaris before version 5.5, or a damaged one",
        "Save it with Imaris 5.5 or later, which writes HDF5",
    ),
    **dict.fromkeys(
        ("vsv", "vsvi", "vsvr"),
        Unread(
            "an image stack of VAST",
            "Serve the images that it was made of, or export an image stack from VAST",
        ),
    ),
    **dict.fromkeys(
        ("vss", "vsseg"),
        Unread("a segmentation of VAST", "Export it from VAST as a stack of PNG or TIFF"),
    ),
    "mat": Unread(
        "a file of MATLAB that is no HDF5 (version 7 or older)",
        "Save it again in MATLAB with save(..., '-v7.3')",
    ),
    **dict.fromkeys(
        ("am", "hx"), Unread("a file of Amira or Avizo", "Save it there as TIFF, MRC or NRRD")
    ),
    **dict.fromkeys(
        ("mha", "mhd"),
        Unread("a MetaImage volume", "Save it as NRRD with ITK-SNAP, 3D Slicer or SimpleITK"),
    ),
    "dcm": Unread("a DICOM image", "Convert the series to NIfTI with dcm2niix"),
    "mnc": Unread("a MINC volume", "Convert it to NIfTI with mnc2nii"),
    **dict.fromkeys(
        ("mgh", "mgz"), Unread("a volume of FreeSurfer", "Convert it to NIfTI with mri_convert")
    ),
    "raw": Unread(
        "voxels without a header",
        "Write an NRRD header beside it (.nhdr with type, sizes, encoding and data file)",
    ),
    **dict.fromkeys(("gif", "heic", "psd"), Unread("an image", "Save the sections as PNG or TIFF")),
    "avi": Unread("a film", _FIJI),
}
"""Kinds of files by their ending, in lower case and without the dot."""

VERSIONS = ("ims", "mat")
"""Endings of files that are read, but for the versions in `UNREAD`."""

_UNPACKING = {
    "gz": "gunzip -k",
    "bz2": "bunzip2 -k",
    "xz": "unxz -k",
    "zst": "unzstd",
    "lz4": "unlz4",
    "7z": "7z x",
    "rar": "unrar x",
    "tar": "tar -xf",
    "tgz": "tar -xf",
}
"""Commands that unpack a file, by its ending."""

_TARRED = re.compile(r"\.tar(\.(gz|bz2|xz|zst|lz4))?$")

_FOLDERS = {"zarr", "n5", "precomputed", "mojo"}
"""Endings of folders of a format."""


_ANYTHING = {"json", "zip"}
"""Endings of files that are read, most of which hold no voxels."""


def unread_of(name: str, endings: Collection[str], beside: Collection[str] = ()) -> Unread | None:
    """Return the kind of a file that is not read; None if it is none that is known.

    A file of a format, or an archive of a folder of one, that is compressed as a whole is such a
    file, unless it was unpacked.

    Parameters
    ----------
    name : str
        Name of the file.
    endings : collection of str
        Endings of files that are read, in lower case and without the dot.
    beside : collection of str
        Names of the other files and folders in its folder.
    """
    lower = name.lower()
    known = UNREAD.get(lower.rpartition(".")[2]) if "." in lower else None
    if known is not None:
        has_header = lower.endswith(".raw") and f"{name[:-4]}.nhdr" in beside
        return None if has_header else known
    inner, _, end = _TARRED.sub(".tar", lower).rpartition(".")
    kind = inner.rpartition(".")[2] if "." in inner else ""
    is_known = kind in endings or kind in UNREAD or kind in _FOLDERS
    if end not in _UNPACKING or not is_known or kind in _ANYTHING:
        return None
    if name[: len(inner)] in beside:
        return None
    command = "tar -xf" if _TARRED.search(lower) else _UNPACKING[end]
    return Unread(
        f"a .{kind} compressed as a whole, of which no part can be read alone",
        f"Unpack it: {command} FILE",
    )
