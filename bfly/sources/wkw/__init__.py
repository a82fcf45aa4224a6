"""WKW: the blocks that webKnossos stores in files of its own."""
