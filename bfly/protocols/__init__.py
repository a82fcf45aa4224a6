"""The dialects that clients speak: one file for each kind of URL."""
