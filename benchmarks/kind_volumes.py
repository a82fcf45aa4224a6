"""Volumes whose kind is known: real ones, real ones changed as programs do, and synthetic ones."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import imagecodecs
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.data import shared_data
from bfly.testing.tissue import tissue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    Voxels = NDArray[Any]

__all__ = ["Known", "known_volumes"]

IMAGE, LABELS = "image", "segmentation"


class Known(NamedTuple):
    """A volume with its kind.

    Parameters
    ----------
    origin : str
        ``real``, ``real, changed`` or ``synthetic``.
    name : str
        What it is.
    kind : str
        What its voxels are.
    voxels : numpy.ndarray
        Shape (z, y, x).
    """

    origin: str
    name: str
    kind: str
    voxels: Voxels


def known_volumes() -> Iterator[Known]:
    """Yield all volumes; those of a folder or package that is not there are left out."""
    for name, kind, voxels in (*_fib25(), *_others(), *_nibabel(), *_scikit_image()):
        yield Known("real", name, kind, voxels)
    if em := [voxels for name, _, voxels in _fib25() if name == "FIB-25 EM"]:
        for name, kind, voxels in (*_em(em[0][:8]), *_posterized(em[0][:8])):
            yield Known("real, changed", name, kind, voxels)
    for name, kind, voxels in _fib25():
        if kind == LABELS and "bodies" not in name:
            for what, changed_kind, changed in _labels(voxels[:8]):
                yield Known("real, changed", f"{name}, {what}", changed_kind, changed)
    for name, kind, voxels in (*_tissue(), *_cells()):
        yield Known("synthetic", name, kind, voxels)


Row = tuple[str, str, "Voxels"]


def _fib25() -> Iterator[Row]:
    folder = shared_data() / "fib25"
    sections = sorted((folder / "grayscale").glob("*.png"))[100:132]
    if not sections:
        return
    yield "FIB-25 EM", IMAGE, np.stack([imagecodecs.png_decode(p.read_bytes()) for p in sections])
    for name, what in (("groundtruth", "supervoxels"), ("oversegmented_stack_labels", "watershed")):
        with h5py.File(
            io.BytesIO(gzip.decompress((folder / f"{name}.h5.gz").read_bytes()))
        ) as file:
            ids = file["stack"][100:132].astype(np.uint32)
            table = file["transforms"][:].astype(np.int64)
        yield f"FIB-25 {what}", LABELS, ids
        bodies = np.zeros(table[:, 0].max() + 1, np.uint64)
        bodies[table[:, 0]] = table[:, 1]
        yield f"FIB-25 bodies of {what}", LABELS, bodies[ids]


def _others() -> Iterator[Row]:
    tests = shared_data() / "boss_ingest/ingestclient/test/data"
    stack = sorted((tests / "example_z_stack").glob("*.png"))
    if stack:
        pages = [imagecodecs.png_decode(path.read_bytes()) for path in stack]
        yield "BOSS ingest, z stack", IMAGE, np.stack(pages)
    if (tests / "test_multipage.tif").exists():
        yield (
            "BOSS ingest, TIFF",
            IMAGE,
            imagecodecs.imread(tests / "test_multipage.tif", index=None),
        )
    crop = "formats/neuroglancer/codec/compressed_segmentation/64x64x64-raw-uint64-segmentation.dat"
    if (shared_data() / crop).exists():
        yield (
            "Neuroglancer labels",
            LABELS,
            np.fromfile(shared_data() / crop, "<u8").reshape(64, 64, 64),
        )


def _nibabel() -> Iterator[Row]:
    try:
        import nibabel
    except ImportError:
        return
    folder = Path(nibabel.__file__).parent / "tests/data"
    for name in ("anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"):
        stored = np.asanyarray(nibabel.load(folder / name).dataobj.get_unscaled())
        voxels = stored[..., 0] if stored.ndim == 4 else stored
        yield f"nibabel {name}", IMAGE, voxels.T.astype(voxels.dtype.newbyteorder("<"))


def _scikit_image() -> Iterator[Row]:
    try:
        from skimage import data
    except ImportError:
        return
    images = (
        "camera",
        "coins",
        "moon",
        "page",
        "text",
        "cell",
        "brick",
        "grass",
        "gravel",
        "clock",
    )
    for name in images:
        yield f"scikit-image {name}", IMAGE, getattr(data, name)()[np.newaxis]
    yield "scikit-image horse", LABELS, data.horse()[np.newaxis].astype(np.uint8)


def _em(em: Voxels) -> Iterator[Row]:
    """Yield EM with other dtypes, noise, codecs, sizes and contrasts."""
    random, grey = np.random.default_rng(0), em.astype(float)

    def noisy(values: Voxels, sigma: float, dtype: str) -> Voxels:
        most = np.iinfo(dtype)
        return np.clip(values + random.normal(0, sigma, em.shape), most.min, most.max).astype(dtype)

    yield "16 bits", IMAGE, em.astype("u2") * np.uint16(257)
    yield "12 bits in 16", IMAGE, noisy(grey * 16, 4, "u2")
    yield "16 bits with noise", IMAGE, noisy(grey * 200, 300, "u2")
    yield "8 bits with noise", IMAGE, noisy(grey, 25, "u1")
    yield "signed tomogram", IMAGE, noisy((grey - 128) * 30, 200, "i2")
    yield "signed 8 bits", IMAGE, (em.astype("i2") - 128).astype("i1")
    for level in (95, 75, 50, 20, 5):
        packed = [imagecodecs.jpeg_encode(section, level=level) for section in em]
        yield f"JPEG of quality {level}", IMAGE, np.stack([*map(imagecodecs.jpeg_decode, packed)])
    for by in (2, 4):
        halved = grey[:, :248, :248].reshape(8, 248 // by, by, 248 // by, by).mean((2, 4))
        yield f"halved to 1/{by}", IMAGE, halved.astype("u1")
        yield (
            f"enlarged {by} times",
            IMAGE,
            ndimage.zoom(grey[:2], (1, by, by), order=1).astype("u1"),
        )
    for sigma in (1, 2, 4):
        blurred = ndimage.gaussian_filter(grey, (0, sigma, sigma))
        yield f"blurred by {sigma}", IMAGE, blurred.astype("u1")
        certain = 255 / (1 + np.exp((110 - blurred) / 3))
        yield f"probabilities, blurred by {sigma}", IMAGE, certain.astype("u1")
    yield "saturated", IMAGE, np.clip((grey - 100) * 4, 0, 255).astype("u1")
    yield "most of it 0", IMAGE, np.where(np.arange(250) < 150, 0, em)
    yield "most of it 255", IMAGE, np.where(np.arange(250) < 150, np.uint8(255), em)
    yield "threshold, a mask", LABELS, (em > 110).astype("u1") * np.uint8(255)
    smooth = ndimage.gaussian_filter(grey, (0, 2, 2))
    yield "smooth threshold, a mask", LABELS, (smooth > 110).astype("u2")


def _posterized(em: Voxels) -> Iterator[Row]:
    """Yield EM with fewer values than any microscope writes."""
    yield "every pixel twice along y and x", IMAGE, em.repeat(2, 1).repeat(2, 2)
    yield "of 32 values", IMAGE, em >> 3
    yield "of 16 values", IMAGE, em >> 4
    yield "in 32 bits", IMAGE, em.astype("u4")


def _labels(ids: Voxels) -> Iterator[Row]:
    """Yield labels with other dtypes, boundaries and sizes, and masks and maps of them."""
    yield "8 bits", LABELS, (ids % 255 + 1).astype("u1")
    yield "16 bits", LABELS, (ids % 65535 + 1).astype("u2")
    yield "every second voxel", LABELS, ids[:, ::2, ::2]
    yield "every fourth voxel", LABELS, ids[:, ::4, ::4]
    wall = np.zeros(ids.shape, bool)
    wall[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    wall[:, :, 1:] |= ids[:, :, 1:] != ids[:, :, :-1]
    yield "thin boundaries of 0", LABELS, np.where(wall, 0, ids)
    thick = ndimage.binary_dilation(wall, iterations=2)
    yield "thick boundaries of 0", LABELS, np.where(thick, 0, ids).astype("u2")
    yield "mask of boundaries", LABELS, wall.astype("u1")
    yield "mask of insides", LABELS, (~thick).astype("u1") * np.uint8(255)
    near = ndimage.gaussian_filter(wall.astype(float), (0, 1.5, 1.5))
    yield "boundary map", IMAGE, (255 * near).astype("u1")
    yield "certain boundary map", IMAGE, (255 / (1 + np.exp((0.3 - near) * 30))).astype("u1")
    away = np.stack([ndimage.distance_transform_edt(~section) for section in wall])
    yield "distances", IMAGE, (away * 100).clip(0, 65535).astype("u2")


def _tissue() -> Iterator[Row]:
    em, supervoxels, neurites = tissue((16, 256, 256))[:3]
    yield "demo EM", IMAGE, em
    yield "demo supervoxels", LABELS, supervoxels
    yield "demo neurites", LABELS, neurites


def _cells() -> Iterator[Row]:
    """Yield cells around random points, classes, and noise."""
    random = np.random.default_rng(0)
    places = np.argwhere(np.ones((256, 256)))
    for number in (20, 200, 1000, 4000):
        points = random.uniform(0, 256, (number, 2))
        ids = cKDTree(points[np.argsort(points[:, 0])]).query(places)[1] + 1
        yield f"{number} cells in order", LABELS, ids.reshape(1, 256, 256).astype("u2")
    y, x = np.mgrid[:256, :256]
    yield "squares of 6 voxels", LABELS, (y // 6 * 43 + x // 6 + 1)[np.newaxis].astype("u2")
    for sigma in (4, 8):
        field = ndimage.gaussian_filter(random.normal(size=(1, 256, 256)), (0, sigma, sigma))
        classes = np.digitize(field / field.std(), (-0.8, -0.3, 0.3, 0.8))
        yield f"five classes, grain {sigma}", LABELS, classes.astype("u1")
    yield "noise of 8 bits", IMAGE, random.integers(0, 256, (4, 128, 128), "u1")
    yield "noise of 16 bits", IMAGE, random.integers(0, 65536, (4, 128, 128), "u2")
