"""The one catalogue of every exported number, and the reading of a snapshot into points."""
