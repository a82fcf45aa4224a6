"""The calls of graphene clients: their paths, methods and bodies.

Source: Neuroglancer's ``graphene`` data source, CloudVolume's ``graphene://`` and the chunked graph
client of CAVEclient.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["CALLS", "Call", "found_call"]


class Call(NamedTuple):
    """A call.

    Parameters
    ----------
    path : str
        Pattern of its path below the table; ``{}`` is an id.
    name : str
        Name of what answers it.
    posts : bool
        Whether it is a POST.
    has_body : bool
        Whether it has a body, as some GETs have too.
    """

    path: str
    name: str
    posts: bool = False
    has_body: bool = False

    def node(self, path: str) -> int | None:
        """Return the id in a path, 0 without one; None if it is not the path of the call."""
        pattern = re.escape(self.path).replace(r"\{\}", r"(\d{1,20})")
        found = re.fullmatch(pattern, path)
        return None if found is None else int(found[1]) if found.groups() else 0


CALLS = (
    Call("node/{}/root", "root"),
    Call("node/{}/leaves", "leaves"),
    Call("node/leaves_many", "leaves_many", True, True),
    Call("node/{}/children", "children"),
    Call("node/{}/subgraph", "subgraph"),
    Call("node/{}/lvl2_graph", "level2_graph"),
    Call("node/{}/contact_sites", "contact_sites", has_body=True),
    Call("roots_binary", "roots_binary", True, True),
    Call("is_latest_roots", "is_latest_roots", True, True),
    Call("root_timestamps", "root_timestamps", True, True),
    Call("lineage_graph_multiple", "lineage_graph", True, True),
    Call("root/{}/change_log", "change_log"),
    Call("root/{}/merge_log", "merge_log"),
    Call("tabular_change_log_many", "tabular_change_logs", has_body=True),
    Call("operation_details", "operation_details"),
    Call("user_operations", "user_operations"),
    Call("past_id_mapping", "past_ids", has_body=True),
    Call("delta_roots", "delta_roots"),
    Call("oldest_timestamp", "oldest_timestamp"),
    Call("valid_nodes", "valid_nodes", has_body=True),
    Call("minimal_covering_nodes", "minimal_covering_nodes", True, True),
    Call("graph/find_path", "find_path", True, True),
    Call("graph/split_preview", "split_preview", True, True),
    Call("merge", "merge", True, True),
    Call("split", "split", True, True),
    Call("undo", "undo", True, True),
    Call("redo", "redo", True, True),
    Call("manifest/{}:0", "manifest", has_body=True),
    Call("remeshing", "remeshing", True, True),
)


def found_call(path: str) -> tuple[Call, int] | None:
    """Return the call of a path below a table, and the id in it; None if there is none."""
    for call in CALLS:
        if (node := call.node(path)) is not None:
            return call, node
    return None
