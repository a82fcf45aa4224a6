"""Health checks of channels, and remedies: one topic per file.

`bfly.doctor.examine` has the table of checks. Each check uses an open channel and a few sample
tiles, never all voxels, so that the largest volume takes seconds.
"""
