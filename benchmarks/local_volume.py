"""A peer: a dataset shown by Neuroglancer's Python package, as its examples do: FILE PORT."""

from __future__ import annotations

import sys
import threading

import h5py
import neuroglancer

neuroglancer.set_server_bind_address("127.0.0.1", int(sys.argv[2]))
viewer = neuroglancer.Viewer(token="viewer")
volume = neuroglancer.LocalVolume(h5py.File(sys.argv[1])["main"])
# Otherwise its address is random.
volume.token = "em"
with viewer.txn() as state:
    state.dimensions = volume.dimensions
    state.layers["em"] = neuroglancer.ImageLayer(source=volume)
threading.Event().wait()
