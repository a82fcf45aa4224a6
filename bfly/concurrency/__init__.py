"""Thread pools, and the limits on the threads and memory that requests may take."""
