"""Watch machine-learning models where they run, and join predictions with labels that arrive later."""
