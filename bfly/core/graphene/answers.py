"""Dispatch of the calls of graphene clients."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.graphene.call import Call
from bfly.core.graphene.changes import Changes
from bfly.core.graphene.graph import Graph
from bfly.core.graphene.ids import GrapheneIds
from bfly.core.graphene.meshes import draco_on_grid, step_of
from bfly.core.graphene.places import box_of_bounds, contact_sites, subgraph, way
from bfly.errors import Absent, BadRequest
from bfly.queries.edit_words import Line
from bfly.queries.mesh import name_of
from bfly.validation import real_number, whole_number
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bfly.core.mesh_answers import MeshAnswers
    from bfly.core.proofreading import Proofreading
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.core.skeleton_answers import SkeletonAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.edits import Edits
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.queries.graphene import GrapheneQuery
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["GrapheneAnswers"]

AS_TEXT = {"root_id", "leaf_ids", "new_root_ids", "operation_id", "supervoxel_connected_components"}
"""Fields of answers whose ids are text if the client asks for that, as JavaScript needs."""


class GrapheneAnswers:
    """Answers requests of `GrapheneQuery`.

    Parameters
    ----------
    edits : Edits
        Edits of all channels.
    cutouts : Cutouts
        Reads the supervoxels at points.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    segments : SegmentAnswers
        Has the label indexes.
    meshes : MeshAnswers
        Has the fragments of meshes.
    skeletons : SkeletonAnswers
        Has the skeletons.
    proofreading : Proofreading
        Edits.
    """

    def __init__(
        self,
        edits: Edits,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        segments: SegmentAnswers,
        meshes: MeshAnswers,
        skeletons: SkeletonAnswers,
        proofreading: Proofreading,
    ) -> None:
        self._edits, self._cutouts, self._keywords = edits, cutouts, keywords
        self._segments, self._meshes, self._skeletons = segments, meshes, skeletons
        self._proofreading = proofreading

    def ids(self, volume: Volume, ranges: Sequence[tuple[int, int]] = ((0, 0),)) -> GrapheneIds:
        """Return the ids of a channel; raises as `SegmentAnswers.segments` without its index.

        Parameters
        ----------
        volume : Volume
            The channel.
        ranges : sequence of tuple of int
            `ChannelEdits.ranges`; roots need them.
        """
        if volume.kind != "segmentation":
            raise BadRequest(f"{volume.spec.path} is an image; only a segmentation has segments.")
        if volume.dtype.itemsize < 8:
            return GrapheneIds(int(np.iinfo(volume.dtype).max), ranges)
        return GrapheneIds(self._segments.segments(volume, None).index.last, ranges)

    def answer(self, query: GrapheneQuery) -> bytes:
        """Return the answer: JSON, or the bytes of ids or of a fragment.

        Raises
        ------
        BadRequest
            A part of the request is not allowed, or the channel is an image.
        Absent
            There is no such call, root, supervoxel or operation.
        Conflict
            Others have edited the segments meanwhile.
        DatabaseError, SourceError
            The log, or the channel, cannot be read.
        """
        query.update_source(self._keywords(query))
        call = Call(query, self)
        answer = getattr(call, query.call)()
        if isinstance(answer, bytes):
            return answer
        if query.asked.get("int64_as_str") in ("1", "true", "True"):
            answer = _with_text(answer)
        return json.dumps(answer).encode()

    def graph(self, query: GrapheneQuery) -> Graph:
        """Return the segments of the channel of a request."""
        volume = query.volume
        self._segments.prepare(volume)
        found = self._edits.found(query.path, query.line)
        indexed = self._segments.indexed(volume, found.state)
        return Graph(found, self.ids(volume, found.edits.ranges), indexed)

    def changes(self, query: GrapheneQuery, graph: Graph) -> Changes:
        """Return what edits the channel of a request."""
        volume, proofreading = query.volume, self._proofreading
        channel = graph.found.writable
        return Changes(
            graph,
            proofreading.finder(volume, query.path, query.beside),
            volume.voxel_size,
            int(np.iinfo(volume.dtype).max),
            proofreading.fresh(volume),
            partial(proofreading.new_ids, volume, channel),
            Line().read("user", query.asked.get("user", "")),
        )

    def subgraph(self, query: GrapheneQuery, graph: Graph) -> dict[str, Any]:
        """Return the pairs of supervoxels of a root that touch in a box, and their contacts."""
        box, volume = self._box(query), query.volume
        members = graph.supervoxels(query.node)
        state = graph.state_of(query.node)
        found = subgraph(self._read(volume, box, state), members, volume.voxel_size)
        return {
            "nodes": graph.ids.tagged(found.pairs).tolist(),
            "affinities": [1.0] * len(found.pairs),
            "areas": found.areas.tolist(),
        }

    def contact_sites(self, query: GrapheneQuery, graph: Graph) -> dict[str, Any]:
        """Return the areas of contact of a root with others in a box."""
        box, volume = self._box(query), query.volume
        state = graph.state_of(query.node)
        voxels = self._read(volume, box, state)
        labels = np.unique(voxels[voxels > 0]).astype(np.uint64)
        roots = graph.ids.roots(state, labels).tolist()
        found = dict(zip(labels.tolist(), roots, strict=True))
        return dict(contact_sites(voxels, found, query.node, volume.voxel_size))

    def find_path(self, query: GrapheneQuery, graph: Graph) -> dict[str, Any]:
        """Return the way between two points ``[root, x, y, z]`` along the skeleton of a root."""
        points = query.body
        if not isinstance(points, list) or [len(each) for each in points] != [4, 4]:
            raise BadRequest("A path takes two points [root, x, y, z], in nanometres.")
        root = whole_number("root", points[0][0], 1, 2**64 - 1)
        query.state = graph.state_of(root)
        made = self._skeletons.of(query, self._name(graph, root))
        ends = [np.array([real_number("point", each) for each in point[1:]]) for point in points]
        return {
            "centroids_list": way(made, *ends).tolist(),
            "failed_l2_ids": [],
            "l2_path": [],
        }

    @staticmethod
    def _name(graph: Graph, root: int) -> int:
        """Return the name of a root's segment in the state of the root."""
        return int(graph.state_of(root).segments(graph.members(root)[:1])[0])

    @staticmethod
    def _box(query: GrapheneQuery) -> BoundingBox:
        return box_of_bounds(query.asked.get("bounds"), query.volume.level(0).place)

    def _read(self, volume: Volume, box: BoundingBox, state: EditState) -> NDArray[Any]:
        return self._cutouts.gather(Region.of(volume, 0, box, state.patched))

    def manifest(self, query: GrapheneQuery, graph: Graph) -> dict[str, Any]:
        """Return the names of the fragments of a root."""
        root = query.node
        name = self._name(graph, root)
        fragments = self._meshes.fragments(query.volume, graph.state_of(root), name)
        keyed = query.asked.get("prepend_seg_ids") in ("1", "true", "True")
        names = [name_of(root, each) for each in fragments]
        if keyed:
            names = [f"~{each.partition(':')[2]}:{each}" for each in names]
        return {"fragments": names, "seg_ids": [root] * len(names)}

    def fragment(self, query: GrapheneQuery, graph: Graph) -> bytes:
        """Return the fragment of a root with a name, compressed by Draco."""
        root, volume = query.node, query.volume
        name = self._name(graph, root)
        state = graph.state_of(root)
        for each in self._meshes.fragments(volume, state, name):
            if name_of(root, each) == query.body:
                encode = partial(draco_on_grid, step=step_of(volume.voxel_size))
                return self._meshes.fragment(volume, state, each, encode, "draco ")
        raise Absent(f"The root {root} has no fragment {query.body}.")


def _with_text(answer: Any) -> Any:
    return {name: _text(value) if name in AS_TEXT else value for name, value in answer.items()}


def _text(value: Any) -> Any:
    return [_text(each) for each in value] if isinstance(value, list) else str(value)
