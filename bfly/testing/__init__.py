"""For tests, here and elsewhere: conformance suites for plug-ins, and synthetic tissue."""
