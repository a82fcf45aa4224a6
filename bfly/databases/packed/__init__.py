"""Tables in packs: rows along a space-filling curve, compressed."""
