"""Edits of label channels: a log of operations, and the segments that result from them.

`bfly.edits.log` is the log. `bfly.edits.forest` holds the segments, and `bfly.edits.state` one
state of them. `bfly.edits.channel` combines the log and the state of a channel, and
`bfly.edits.edits` holds the channels of a process. The design is explained in ``docs/edits.md``.
"""
