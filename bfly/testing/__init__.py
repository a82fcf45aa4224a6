"""Test support, also for third parties: conformance suites for plug-ins, and synthetic tissue."""
