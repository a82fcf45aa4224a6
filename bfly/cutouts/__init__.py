"""From a query to voxels: planned, read, put together, streamed."""
