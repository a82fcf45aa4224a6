"""Files that went wrong in laboratories: what each of them is served as now, or why it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.storage.files import Files
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

CASES = Path(os.environ.get("BFLY_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CASES /= "cases"

# Channel: kind, dtype, shape, position and voxel size in nm (z, y, x): first voxels .. maximum
TABLE = {
    "endings_not_looked_at": """
        big.btf: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        vol.npz: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        stack.ims: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        part.mrcs: image float32 12x40x36 at 0,0,0: 0 3 6 .. 250
        tilt.ali: image float32 12x40x36 at 0,0,0 of 4x0.4x0.4: 0 3 6 .. 250
    """,
    "float16_float64": """
        f2.h5: image float32 6x20x24 at 0,0,0: 0.626 0.281 0.192 .. 1
        f2.mrc: image float32 12x40x36 at 0,0,0: 0 3 6 .. 250
        f8.h5: image float32 6x20x24 at 0,0,0: 0.626 0.281 0.192 .. 1
        f8.nii: image float32 12x40x36 at 0,0,0 of 40000x4000x4000: 0 3 6 .. 250
        f8.npy: image float32 12x40x36 at 0,0,0: 0 3 6 .. 250
        f8.tif: image float32 12x40x36 at 0,0,0: 0 3 6 .. 250
    """,
    "funlib_offset": """
        raw: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        seg: segmentation uint64 12x40x36 at 10,10,10 of 40x4x4: {S} {S} {S} .. 1099511627825
    """.replace("{S}", "1099511627812"),
    "grey_of_16_bits": """
        lzw_u2.tif: image uint16 12x40x36 at 0,0,0: 0 600 1200 .. 50000
        ok.mrc: image int16 12x40x36 at 0,0,0 of 1x1x1: 0 600 1200 .. 32600
    """,
    "h5_four_axes": """
        fiji_tzyxc.h5: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        prob.h5: image float32 6x20x24 at 0,0,0: 0.48 0.722 0.459 .. 1
        prob.h5-c1: image float32 6x20x24 at 0,0,0: 0.174 0.406 0.639 .. 0.999
        seg_Simple Segmentation.h5: segmentation uint8 12x40x36 at 0,0,0: 1 1 1 .. 3
        xyz.h5: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        last1.npy: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        one4d.npy: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
        one_first.h5: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
    """,
    "h5_int24": "v.h5: segmentation uint32 6x20x24 at 0,0,0: 3998 2835 402 .. 4094",
    "h5_reduced_precision": """
        v.h5: image int16 4x8x8 at 0,0,0: 1402 547 44 .. 1988
        v.h5: image uint16 6x20x24 at 0,0,0: 3998 2835 402 .. 4094
    """,
    "h5_several_datasets": """
        sample_A.hdf: segmentation uint64 12x40x36 at 0,0,0 of 40x4x4: {M} {M} {M} .. {M}
        sample_A.hdf-volumes-labels-neuron_ids: segmentation uint64 12x40x36 at 0,0,0 of 40x4x4: \
{N}80 {N}81 {N}83 .. {N}84
        sample_A.hdf-volumes-raw: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        train_000.h5: segmentation uint32 12x40x36 at 0,0,0: 4 5 7 .. 8
        train_000.h5-raw: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250
    """.replace("{M}", "18446744073709551615").replace("{N}", "10995116277"),
    "h5_vds_sources_gone": """
        whole.h5: refused, part1.h5x
        renamed.h5: refused, old.h5
        renamed.h5-base-raw: image uint16 12x40x36 at 0,0,0: 0 1 2 .. 17279
    """,
    "mrc_machine_stamps": "".join(
        f"{name}.mrc: image int16 12x40x36 at 0,0,0 of 1x1x1: 0 600 1200 .. 32600\n"
        for name in ("mrcfile4", "mrcfile47", "mrcfile7", "zero")
    ),
    "mrc_signed_bytes": """
        imod_signed.mrc: image int8 12x40x36 at 0,0,0: -128 -125 -122 .. 122
        plain.mrc: image int8 12x40x36 at 0,0,0: -128 -125 -122 .. 122
    """,
    "n5_bdv_resolution": """
        timepoint0: image uint16 16x64x64 at 0,0,0: 0 3 6 .. 250
        timepoint0: image uint16 16x64x64 at 0,0,0: 1 4 7 .. 251
    """,
    "n5_lz4": "lz4: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000",
    "n5_paintera": """
        data: segmentation uint64 16x64x64 at 0,0,0: 0 3 6 .. 250
        data: image uint16 16x64x64 at 0,0,100 of 40x4x4: 0 3 6 .. 250
        range: segmentation uint64 32x32x32 at 0,0,0: 0 1 2 .. 32767
        uniform: segmentation uint64 32x32x32 at 0,0,0: 2 2 2 .. 2
        data: refused, label multisets
        data: refused, label multisets
    """,
    "ome_channels_as_z": """
        xyc: image uint16 1x64x64 at 0,0,0: 0 3 6 .. 250
        xyc-c1: image uint16 1x64x64 at 0,0,0: 0 3 6 .. 250
        xyc-c2: image uint16 1x64x64 at 0,0,0: 0 3 6 .. 250
        cyx.ome.zarr: image uint8 1x64x64 at 0,0,0: 0 3 6 .. 250
        cyx.ome.zarr-c1: image uint8 1x64x64 at 0,0,0: 1 4 7 .. 251
        cyx.ome.zarr-c2: image uint8 1x64x64 at 0,0,0: 2 5 8 .. 252
        tcyx.ome.zarr: image uint8 1x64x64 at 0,0,0: 0 3 6 .. 250
        tcyx.ome.zarr-c1: image uint8 1x64x64 at 0,0,0: 1 4 7 .. 251
        tcyx.ome.zarr-c2: image uint8 1x64x64 at 0,0,0: 2 5 8 .. 252
        tyx.ome.zarr: image uint8 1x64x64 at 0,0,0: 0 3 6 .. 250
        tyx.ome.zarr-t1: image uint8 1x64x64 at 0,0,0: 1 4 7 .. 251
        tyx.ome.zarr-t2: image uint8 1x64x64 at 0,0,0: 2 5 8 .. 252
    """,
    "ome_labels_inside": """
        img.zarr: image uint8 8x128x128 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        img.zarr-labels-cells: segmentation uint32 8x128x128 at 0,0,0 of 40x4x4: 1 4 2 .. 5
    """,
    "ome_pyramid_lost": """
        v01.zarr: image uint8 8x128x128 at 0,0,0: 0 3 6 .. 250
        v02.zarr: image uint8 8x128x128 at 0,0,0: 0 3 6 .. 250
        v03.zarr: image uint8 8x128x128 at 0,0,0: 0 3 6 .. 250
    """,
    "one_huge_chunk": "one_chunk.zarr: refused, max-chunk-size",
    "precomputed_encodings": """
        jxl: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 1 3 .. 255
        rgb: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        rgb-c1: image uint8 12x40x36 at 0,0,0 of 40x4x4: 1 4 7 .. 251
        rgb-c2: image uint8 12x40x36 at 0,0,0 of 40x4x4: 2 5 8 .. 252
    """,
    "precomputed_gz": """
        br: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        em: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
        em: image uint8 12x40x36 at 0,0,0 of 40x4x4: 0 3 6 .. 250
    """,
    "stack_beside_eaDir": "s02_eaDir: image uint8 3x40x36 at 0,0,0: 0 3 6 .. 250",
    "stack_interleaved": """
        s05_channels_interleaved-c0: image uint8 3x40x36 at 0,0,0: 0 3 6 .. 250
        s05_channels_interleaved-c1: image uint8 3x40x36 at 0,0,0: 1 4 7 .. 251
        s07_two_formats-fpng: image uint8 3x40x36 at 0,0,0: 0 3 6 .. 250
        s07_two_formats-ftif: image uint8 3x40x36 at 0,0,0: 0 3 6 .. 250
    """,
    "tiff_grey_samples": "".join(
        [
            "v.tif-s0: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250\n",
            "v.tif-s1: image uint8 12x40x36 at 0,0,0: 1 4 7 .. 251\n",
            *[
                f"v.tif-s{s}: image uint8 1x40x36 at 0,0,0: {v} {v + 3} {v + 6} .. 250\n"
                for s, v in enumerate(range(0, 84, 7))
            ],
        ]
    ),
    "tiff_miniswhite": "v.tif: image uint8 12x40x36 at 0,0,0: 0 3 6 .. 250",
    "tiff_pages_of_two_kinds": "v.tif: image uint8 6x40x36 at 0,0,0: 0 3 6 .. 250",
    "zarr_encoder_options": "".join(
        f"{name}: image uint16 4x8x8 at 0,0,0: 0 1 2 .. 255\n"
        for name in (
            *("blosc_nthreads", "blosc_typesize", "gzip_-1", "n5_blosc_java", "zlib_-1"),
            *("v3_blosc_no_typesize", "v3_blosc_nthreads", "v3_codec_as_string", "v3_gzip_-1"),
            *("v3_consolidated_null", "v3_dims_null", "zstd_checksum"),
        )
    ),
    "zarr_filters": """
        bitround.zarr: image float32 12x40x36 at 0,0,0: 0.838 0.262 0.109 .. 1
        delta.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        fso.zarr: image float32 12x40x36 at 0,0,0: 0.838 0.262 0.109 .. 1
        shuffle.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        lz4.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        lzma.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        nc_bz2.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        nc_delta.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
        nc_zstd.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000
    """,
    "zarr_nested_unsaid": "a.zarr: image uint16 12x40x36 at 0,0,0: 0 300 600 .. 25000",
    "zarr_tables": "em: image uint8 8x128x128 at 0,0,0 of 1000x500x500: 0 3 6 .. 250",
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")
@pytest.mark.parametrize("case", TABLE)
def test_it_is_right_or_refused(case: str) -> None:
    config = Config(experiments=scan(str(CASES / case), Files()).experiments)
    lines = [line.strip() for line in TABLE[case].strip().splitlines()]
    found = [said_of(name[-1], channel.path) for name, channel in config.channels.items()]
    refused = [line for line in lines if ": refused, " in line]
    assert sorted(line for line in found if ": refused, " not in line) == sorted(
        line for line in lines if line not in refused
    )
    reasons = [line for line in found if ": refused, " in line]
    assert len(reasons) == len(refused)
    for line in refused:
        name, why = line.split(": refused, ")
        assert any(reason.startswith(name) and why in reason for reason in reasons)


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")
def test_what_is_not_served_is_named() -> None:
    found = scan(str(CASES / "endings_not_looked_at"), Files())
    named = [*found.skipped, *found.unread]
    assert "s0.bmp" in [os.path.basename(path) for path, _ in named]


def said_of(name: str, path: str) -> str:
    """Return a line about a channel, as in `TABLE`."""
    try:
        volume = Volume.open(ChannelSpec(path))
        level = volume.level(0)
        box = BoundingBox.of_shape(level.whole.shape)
        voxels = volume.source.read(0, box)
    except SourceError as error:
        return f"{name}: refused, {error}"
    shape = "x".join(map(str, level.whole.shape))
    at = ",".join(map(str, level.origin))
    size = volume.source.voxel_size
    of = " of " + "x".join(f"{side:g}" for side in size) if size else ""
    *first, most = (
        f"{value:.3g}" if voxels.dtype.kind == "f" else str(value)
        for value in (*voxels.ravel()[:3].tolist(), voxels.max().item())
    )
    return f"{name}: {volume.kind} {voxels.dtype} {shape} at {at}{of}: {' '.join(first)} .. {most}"
