"""Edits of label channels: a log of operations, and the segments that it makes of supervoxels.

`bfly.edits.log` is the log, `bfly.edits.forest` what its operations make, `bfly.edits.state` one
state of that, `bfly.edits.channel` keeps a channel's log and states together, and
`bfly.edits.edits` the channels of a process. The page ``docs/edits.md`` says why it is so.
"""
