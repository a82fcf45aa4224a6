"""The documented words and their values."""

from __future__ import annotations

from bfly.keywords import INPUT, OUTPUT, RUNTIME


def test_words_of_tables_files_and_the_cache() -> None:
    table, file = RUNTIME.DB.TABLE, RUNTIME.DB.FILE
    assert table.LIST == ["neuron", "synapse"]
    assert (table.NEURON.NAME, table.NEURON.KEY.NAME) == ("neuron", "neuron")
    assert table.NEURON.FULL_LIST == ["neuron", "z", "y", "x"]
    assert (table.SYNAPSE.NAME, table.SYNAPSE.KEY.NAME) == ("synapse", "__id")
    assert table.SYNAPSE.NEURON_LIST == ["n1", "n2"]
    assert table.SYNAPSE.FULL_LIST == ["__id", "n1", "n2", "z", "y", "x"]
    assert table.ALL.POINT_LIST == ["z", "y", "x"]
    assert file.SYNAPSE.DEFAULT == "synapse-connections.json"
    assert file.SYNAPSE.NEURON_LIST == ["neuron_1", "neuron_2"]
    assert (file.SYNAPSE.POINT.NAME, file.SYNAPSE.POINT.LIST) == ("synapse_center", ["z", "y", "x"])
    assert file.SOMA.DEFAULT == "neuron-soma.json"
    assert (file.CONFIG.NAME, file.DB_LIST) == ("rh-config", [file.SYNAPSE.NAME, file.SOMA.NAME])
    assert table.SYNAPSE.YX.NAME == "yx"
    assert file.CONFIG.GROUP_LIST == ["experiments", "samples", "datasets", "channels"]
    assert (file.CONFIG.PATH.NAME, file.CONFIG.DPATH.NAME) == ("path", "dpath")
    assert RUNTIME.DB.JOIN.NAME.format("synapse", "/a") == "synapse:///a"
    assert RUNTIME.DB.UPDATE.NAME == "update"
    assert RUNTIME.DB.PORT.NAME == "port"
    cache = RUNTIME.CACHE
    names = [cache.META.NAME, cache.MAX.NAME, cache.MAX_BLOCK.NAME]
    assert names == ["meta-size", "max-cache-size", "max-block-size"]
    assert (cache.MAX.VALUE, cache.MAX_BLOCK.VALUE) == (1 << 30, 1 << 20)
    links = RUNTIME.FEATURES.LINKS
    assert [links.ID.NAME, links.PRE.NAME, links.POST.NAME] == [
        "synapse_id",
        "synapse_parent_pre",
        "synapse_parent_post",
    ]


def test_words_of_tiles_and_sources() -> None:
    for name in ("ZYX", "KJI", "SCALES"):
        assert hasattr(RUNTIME.TILE, name)
    source = RUNTIME.IMAGE.SOURCE
    hdf5 = source.HDF5
    names = [hdf5.OFF.NAME, hdf5.OUTER.NAME, hdf5.INNER.NAME]
    assert names == ["z-offset", "filename", "dataset-path"]
    assert source.MOJO.FORMAT.H5_LIST == ["h5", "hdf5"]
    assert (source.BOSS.PATHS.NAME, source.BOSS.ALL, source.BOSS.PATH) == (
        "tiff-paths",
        "tiles",
        "location",
    )
    assert source.BOSS.INFO.START.ZYX == ["z", "row", "column"]
    for name in ("SOURCE", "BLOCK", "MERGE", "SPLIT", "ERROR"):
        assert hasattr(RUNTIME.IMAGE, name)


def test_words_of_answers() -> None:
    for name in ("CHANNELS", "DATASET", "CHANNEL", "QUERY", "NAMES", "PATH", "TYPE", "SIZE"):
        assert hasattr(OUTPUT.INFO, name)
    assert OUTPUT.INFO.QUERY.NAME == "query"
    assert OUTPUT.INFO.TYPE.RAW_LIST == ["uint8", "float32"]
    assert [*OUTPUT.INFO.TYPE.RAW_LIST, *OUTPUT.INFO.TYPE.ID_LIST] == OUTPUT.INFO.TYPE.LIST
    assert OUTPUT.INFO.SIZE.LIST == ["x", "y", "z"]


def test_words_of_requests() -> None:
    assert "entity_feature" in INPUT.METHODS.LIST
    assert INPUT.GROUP.NAME == "name"
    assert INPUT.GROUP.LIST == ["experiment", "sample", "dataset", "channel"]
    assert set(INPUT.FEATURES.LIST) == {
        "is_neuron",
        "is_synapse",
        "neuron_keypoint",
        "synapse_keypoint",
        "synapse_parent",
        "synapse_ids",
        "neuron_children",
        "all_neurons",
    }
    assert [INPUT.POSITION.X.NAME, INPUT.POSITION.DEPTH.NAME] == ["x", "depth"]
    assert INPUT.RESOLUTION.XY.NAME == "resolution"
    assert (INPUT.INFO.FORMAT.NAME, INPUT.INFO.ID.NAME) == ("format", "id")
    assert INPUT.IMAGE.VIEW.LIST == ["grayscale", "colormap", "rgb"]
    assert INPUT.IMAGE.OFFSET.VALUE == [0, 0, 0]
    methods = INPUT.METHODS
    names = [methods.WEBSOCKET.NAME, methods.META.NAME, methods.PRE.NAME, methods.FEAT.NAME]
    assert names == ["websocket", "channel_metadata", "precompute_info", "entity_feature"]
    assert INPUT.POSITION.LIST == ["z", "y", "x", "depth", "height", "width"]
    resolution = INPUT.RESOLUTION
    assert [resolution.X.NAME, resolution.Y.NAME, resolution.Z.NAME] == ["x-res", "y-res", "z-res"]
    formats = INPUT.IMAGE.FORMAT
    assert formats.COLOR_LIST == ["png", "jpg", "jpeg", "bmp"]
    assert [formats.VOL_LIST, formats.TIF_LIST, formats.ZIP_LIST] == [
        ["npz"],
        ["tif", "tiff"],
        ["zip"],
    ]
    view = INPUT.IMAGE.VIEW
    assert [view.GRAY.NAME, view.COLOR.NAME, view.RGB.NAME] == view.LIST


def test_words_of_features() -> None:
    words = INPUT.FEATURES
    tables = words.TABLES
    assert (tables.NEURON.NAME, tables.SYNAPSE.NAME) == ("neuron", "synapse")
    assert {*tables.NEURON.LIST, *tables.SYNAPSE.LIST} == set(words.LIST)
    needed = [*words.ID_LIST, *words.ID_BOX_LIST, *words.BOX_LIST, *words.STATIC_LIST]
    assert sorted(needed) == sorted(words.LIST)
    assert [words.SYNAPSE_LINKS.NAME, words.NEURON_CHILDREN.NAME] == words.LINK_LIST
    assert words.POINT_LIST == ["synapse_keypoint", "neuron_keypoint"]
    assert words.BOOL_LIST == ["is_synapse", "is_neuron"]
    assert words.LABEL_LIST == ["synapse_ids"]
