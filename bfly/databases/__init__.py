"""The engines that keep what is not an image: one file an engine."""
