"""Jobs that run on Dask."""
