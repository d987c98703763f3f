"""Stores: where predictions await labels, and the counts they turn into."""
