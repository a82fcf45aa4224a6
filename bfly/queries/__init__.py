"""What is asked: typed and checked, without a word of HTTP or of file formats."""
