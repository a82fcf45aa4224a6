"""From a query to voxels: plan, read, assemble, stream."""
