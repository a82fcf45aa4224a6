"""What is kept, in memory and on disk, and the one way to files."""
