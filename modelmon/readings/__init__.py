"""Readings: what the counts of one model and version say."""
