"""What runs on Dask."""
