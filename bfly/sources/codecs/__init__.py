"""Codecs of chunks that TensorStore does not have, undone without trusting a stated size."""
