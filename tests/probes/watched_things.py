"""What other processes import: watched things at module level."""

from __future__ import annotations

import functools

from modelmon.monitoring import monitor


@monitor(model="score", id="x")
def score(x):
    """Return a score."""
    return x / 10


def bare(x):
    """Return a score."""
    return x / 10


alias = monitor(model="alias", id="x")(bare)
partial = monitor(model="partial")(functools.partial(bare, 5))


@monitor(model="coroutine")
async def coroutine(x):
    """Return a score."""
    return x / 10


class Net:
    """Look like a module of a neural network: it holds its hooks and its parameters."""

    def __init__(self):
        """Hold a watched method of its own."""
        self.weights = [1.0, 2.0]
        self.predict = monitor(model="net")(self.forward)

    def forward(self, x):
        """Return a score."""
        return x * self.weights[0]

    @monitor(model="method")
    def method(self, x):
        """Return a score."""
        return x * self.weights[1]

    @classmethod
    @monitor(model="of_class")
    def of_class(cls, x):
        """Return a score."""
        return x

    @monitor(model="also_of_class")
    @classmethod
    def also_of_class(cls, x):
        """Return a score."""
        return x

    @monitor(model="alone")
    @staticmethod
    def alone(x):
        """Return a score."""
        return x


class Model:
    """Be a callable object."""

    def __init__(self):
        """Hold a weight."""
        self.weight = 2

    def __call__(self, x):
        """Return a score."""
        return x * self.weight


model = monitor(model="model", id="x")(Model())


def calls_elsewhere(function, x, name):
    """Call a function in another process, and return its result and how often it was counted there."""
    result = function(x)
    return result, monitor.snapshot()[name].calls


class Cached:
    """Hold a cached method."""

    @monitor(model="cached")
    @functools.lru_cache(maxsize=8)  # noqa: B019  (the instance lives as long as the test)
    def predict(self, x):
        """Return a score."""
        return 2 * x
