"""Find the size and the bounding box of each label with cc3d; run by the Python of its own.

For each line of the input, read the file and find them, and print the seconds that it took. Then
write the sizes and the boxes of the last time.
"""

import sys
import time

import cc3d
import h5py
import numpy as np

path, result = sys.argv[1:]
for _ in sys.stdin:
    start = time.perf_counter()
    with h5py.File(path) as file:
        found = cc3d.statistics(file["main"][:])
    print(time.perf_counter() - start, flush=True)
boxes = [[(along.start, along.stop) for along in box] for box in found["bounding_boxes"]]
np.savez(result, voxels=found["voxel_counts"], boxes=np.array(boxes))
