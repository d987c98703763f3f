"""A driver of NVIDIA's in pure Python, for tests without a graphics processor."""
