"""Queries as documented: keywords, fields, what they ask for, and metadata of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.errors import BadRequest
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.queries.query import Query

if TYPE_CHECKING:
    from pathlib import Path


def test_a_keyword_that_is_unknown_is_kept() -> None:
    query = DataQuery(path="/p", flavour="sweet")
    assert query.keywords == {"path": "/p", "flavour": "sweet"}
    query.update_keys({"path": "/q", "x": 3})
    assert (query.path, query.x, query.keywords["x"]) == ("/q", 3, 3)
    with pytest.raises(BadRequest, match="view"):
        query.update_keys({"view": "sideways"})


def test_a_field_is_set_from_its_keyword_or_keeps_its_value() -> None:
    query = InfoQuery(path="/p", size=7)
    query.set_key(query.OUTPUT.INFO, "PATH")
    assert query.OUTPUT.INFO.PATH.VALUE == query.path == "/p"
    query.set_key(query.INPUT.INFO, "ID", "none")
    assert query.INPUT.INFO.ID.VALUE == query.id == "none"
    query.set_key(query.INPUT.IMAGE, "view")
    assert query.INPUT.IMAGE.VIEW.VALUE == "grayscale"


@pytest.mark.parametrize(
    ("method", "true"),
    [
        ("data", "is_data"),
        ("mask", "is_data"),
        ("samples", "is_group"),
        ("project_info", "is_dataset"),
        ("websocket:save", "is_websocket"),
        ("channel_metadata", None),
    ],
)
def test_what_a_method_asks_for(method: str, true: str | None) -> None:
    query = Query(method=method)
    asked = ("is_data", "is_group", "is_dataset", "is_websocket")
    assert [name for name in asked if getattr(query, name)] == [true] * (true is not None)


def test_a_websocket_needs_an_action() -> None:
    with pytest.raises(BadRequest, match="The method websocket is not in"):
        InfoQuery(method="websocket")


def test_media_types_of_the_base() -> None:
    assert Query(method="data").mime_type == "image/png"
    assert Query(method="samples").mime_type == "application/json"


def test_edits_lie_below_the_configured_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rh.yaml"
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(file))
    assert Query(path="/data/seg.h5").edit_path == "/data/seg.h5"
    file.write_text("bfly: {edit-path: /edits}\n")
    assert Query(path="/data/seg.h5").edit_path == "/edits/data/seg.h5"


def test_checks_name_the_value_and_what_is_allowed() -> None:
    query = Query()
    query.check_list(["a"], "a", "word")
    query.check_vector(np.zeros(3), "shape")
    cases = {
        (query.check_list, (("a",), "b", "word")): r"The word b is not in \['a'\].",
        (query.check_vector, (5, "shape")): "The shape 5 is not a vector.",
        (query.check_vector, ((1, 2), "shape")): r"The shape \(1, 2\) does not have 3 dimensions.",
    }
    for (check, arguments), message in cases.items():
        with pytest.raises(BadRequest, match=message):
            check(*arguments)


def test_a_dataset_has_the_mips_and_the_extent_of_its_channels() -> None:
    small = {"block-size": [[1, 8, 8]], "dimensions": {"x": 9, "y": 1, "z": 1}}
    deep = {"block-size": [[1, 8, 8], [1, 4, 4]], "dimensions": {"x": 1, "y": 1, "z": 5}}
    query = InfoQuery(method="project_info")
    query.update_dataset([small, {**deep, "data-type": "uint32"}])
    assert query.dimensions == {"x": 9, "y": 1, "z": 5}
    assert (query.data_type, len(query.block_size)) == ("uint32", 2)


def test_the_tiles_that_a_request_needs() -> None:
    query = DataQuery(path="/p", y=5, x=20, height=10, width=100)
    query.update_source({"block-size": [[2, 16, 32]]})
    assert query.tile_bounds.tolist() == [[0, 0, 0], [1, 1, 4]]
    assert query.tile_shape.tolist() == [1, 1, 4]
    assert query.some_in_all([0, 0, 0], [2, 16, 32]).tolist() == [[0, 0, 0], [1, 10, 12]]
    assert query.some_in_all([0, 0, 96], [2, 16, 32]).tolist() == [[0, 0, 76], [1, 10, 100]]


def test_a_message_changes_the_edits_of_a_query() -> None:
    query = InfoQuery(path="/p", method="websocket:save", merge=[["1", "2"]])
    changed = query.websocket_edit({"merge": [["2", "3"]], "split": []})
    assert changed == {"merge": [["2", "1", "3"]], "split": [], "error": ""}
    assert query.websocket_result("save") == {"action": "save", **changed}
    assert query.websocket_edit({"merge": 5})["error"] == "The merge is not a list of lists of ids."
    assert InfoQuery(method="websocket:restore").websocket_edit({"merge": [["2", "3"]]}) == {}


def test_a_query_keeps_the_words_as_named_fields() -> None:
    query = DataQuery(
        **{
            "method": "data",
            "path": "/p",
            "z": 1,
            "y": 2,
            "x": 3,
            "depth": 4,
            "height": 5,
            "width": 6,
            "resolution": 1,
            "format": "tif",
            "view": "rgb",
            "offset": [0, 4, 6],
        }
    )
    assert query.INPUT.POSITION.X.VALUE == 3
    assert query.INPUT.POSITION["height"].VALUE == 5
    assert query.INPUT.RESOLUTION.XY.VALUE == 1
    assert query.INPUT.IMAGE.FORMAT.VALUE == "tif"
    assert query.OUTPUT.INFO.PATH.VALUE == query.path == "/p"
    query.OUTPUT.INFO.PATH.VALUE = "/q"
    assert query.path == "/q"
    assert np.array_equal(query.scales, [1, 2, 2])
    assert np.array_equal(query.target_bounds, [[1, 4, 6], [5, 9, 12]])
    assert np.array_equal(query.source_origin, [1, 8, 12])
    assert np.array_equal(query.source_shape, [4, 10, 12])
    assert np.array_equal(query.source_off, [0, 4, 6])
    assert np.array_equal(query.target_off, [0, 2, 3])
    assert query.voxel_offset == (0, -4, -6)
    assert query.INPUT.IMAGE.OFFSET.VALUE == query.offset == (0, 4, 6)
    query.INPUT.IMAGE.OFFSET.VALUE = [1, 2, 3]
    assert query.voxel_offset == (-1, -2, -3)
    assert query.is_data
    assert query.mime_type == "image/tiff"
