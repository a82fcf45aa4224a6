"""How a segment is split: arrays in, arrays out.

`bfly.splitting.runs` takes the voxels of one segment out of a box of labels, and
`bfly.splitting.contacts` finds where its supervoxels touch. `bfly.splitting.min_cut` separates two
groups of supervoxels, and `bfly.splitting.outside` assigns those outside the box. For two groups of
points in one supervoxel, `bfly.splitting.inside` separates its voxels. The algorithms are explained
in ``docs/edits.md``.
"""
