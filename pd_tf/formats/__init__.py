"""One file per weight format, each to and from canonical weights."""
