"""KNOSSOS: cubes in folders, and the files that describe them."""
