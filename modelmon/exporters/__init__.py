"""Exporters: one small room per back end, each loading its dependency where it is imported."""
