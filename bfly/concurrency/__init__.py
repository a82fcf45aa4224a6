"""Threads, and what keeps requests from taking all of them and all memory."""
