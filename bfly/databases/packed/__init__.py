"""Tables in packs: blobs of rows, sorted along a space-filling curve."""
