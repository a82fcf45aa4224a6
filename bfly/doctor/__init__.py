"""What is wrong with channels, and what would mend it: one idea of it a file.

`bfly.doctor.examine` has the table of checks. Each looks at an open channel and at a few tiles
of it, never at all of it, so that the largest volume takes seconds.
"""
