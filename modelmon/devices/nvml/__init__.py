"""NVIDIA's processors, through the library that its driver brings."""
