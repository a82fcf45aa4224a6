"""Mesh a label of an HDF5 file with zmesh, once; run by the Python of its own environment.

Print the seconds to read and mesh it, those to simplify it besides, and the triangles.
"""

import sys
import time

import h5py
import zmesh

path, label, nanometres = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
start = time.perf_counter()
with h5py.File(path) as file:
    voxels = file["main"][:]
mesher = zmesh.Mesher((nanometres,) * 3)
mesher.mesh(voxels == label, close=True)
meshed = time.perf_counter()
mesh = mesher.get(1, reduction_factor=100, max_error=4 * nanometres)
simplified = time.perf_counter()
print(meshed - start, simplified - meshed, len(mesh.faces))
