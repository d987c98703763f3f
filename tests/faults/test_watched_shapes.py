"""What can be decorated and copied, and who looks at it afterwards; rows C5, C6 and C8 of the catalogue of faults."""

from __future__ import annotations

import abc
import asyncio
import copy
import functools
import inspect
from typing import Any, Protocol
from unittest import mock

import pytest

from modelmon import Monitor


class Shouting(Protocol):
    """What shouts."""

    def shout(self, word: str) -> str:
        """Shout."""
        ...


class Counting(type):
    """A metaclass with a watched-looking method of its own."""

    def made(cls) -> str:
        """Return the name."""
        return cls.__name__


def shapes(own: Monitor) -> dict[str, Any]:
    """Return ways to be decorated, each a function of no argument that makes one watched call and returns "HEY"."""

    class Voice(metaclass=Counting):
        __slots__ = ("__dict__", "tone")

        @property
        @own(model="property")
        def plain(self) -> str:
            return "HEY"

        @functools.cached_property
        @own(model="cached_property")
        def kept(self) -> str:
            return "HEY"

        @own(model="partialmethod")
        def shout(self, word: str) -> str:
            return word.upper()

        hey = functools.partialmethod(shout, "hey")

        @functools.singledispatchmethod
        @own(model="singledispatchmethod")
        def dispatched(self, word: str) -> str:
            return word.upper()

    class Base(abc.ABC):
        @abc.abstractmethod
        def shout(self, word: str) -> str: ...

    class Loud(Base, Shouting):
        @own(model="protocol")
        def shout(self, word: str) -> str:
            return word.upper()

    @functools.singledispatch
    @own(model="singledispatch")
    def dispatch(word: Any) -> str:
        return word.upper()

    @functools.lru_cache
    @own(model="under_cache")
    def cached(word: str) -> str:
        return word.upper()

    @own(model="over_cache")
    @functools.lru_cache
    def caching(word: str) -> str:
        return word.upper()

    voice = Voice()
    return {
        "property": lambda: voice.plain,
        "cached_property": lambda: voice.kept,
        "partialmethod": lambda: voice.hey(),  # noqa: PLW0108  (bound anew at each call)
        "singledispatchmethod": lambda: voice.dispatched("hey"),
        "protocol": lambda: Loud().shout("hey"),
        "singledispatch": lambda: dispatch("hey"),
        "under_cache": lambda: cached("hey"),
        "over_cache": lambda: caching("hey"),
        "lambda": own(model="lambda")(lambda: "HEY"),
        "partial": own(model="partial")(functools.partial(str.upper, "hey")),
        "c_method": functools.partial(own(model="c_method")(str.upper), "hey"),
    }


@pytest.mark.fault("C5")
@pytest.mark.parametrize("shape", shapes(Monitor()))
def test_everything_that_can_be_called_can_be_watched(shape: str) -> None:
    """Beneath and above the decorators of the standard library a call returns what it would, and counts once."""
    own = Monitor()
    assert shapes(own)[shape]() == "HEY"
    assert own.snapshot()[shape].calls == 1


@pytest.mark.fault("C6")
def test_whoever_replaces_a_watched_function_in_tests() -> None:
    """``create_autospec`` and comparing bound methods work as on the function that is not watched."""
    own = Monitor()

    class Model:
        @own
        def predict(self, x: int, *, fast: bool = False) -> int:
            return x if fast else -x

    double = mock.create_autospec(Model)
    double.return_value.predict.return_value = 7
    assert double().predict(1, fast=True) == 7
    with pytest.raises(TypeError):
        double().predict(1, 2, 3)
    model = Model()
    assert model.predict == model.predict
    assert hash(model.predict) == hash(model.predict)
    assert Model.predict is Model.predict


@pytest.mark.fault("C6")
def test_whoever_injects_by_signature() -> None:
    """A web framework that reads signatures injects into a watched endpoint and into watched dependencies."""
    fastapi = pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    own, app = Monitor(), fastapi.FastAPI()
    fits = fastapi.Depends

    @own(model="dependency")
    def doubled(number: int) -> int:
        return 2 * number

    @own(model="endpoint")
    async def predict(twice: int = fits(doubled)) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"twice": twice}

    predict.__annotations__["twice"] = int
    doubled.__annotations__["number"] = int
    app.get("/predict")(predict)

    async def ask(number: str) -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(f"/predict?number={number}")

    assert asyncio.run(ask("21")).json() == {"twice": 42}
    assert asyncio.run(ask("none")).status_code == 422
    seen = own.snapshot()
    assert (seen["endpoint"].calls, seen["dependency"].calls) == (1, 1)
    assert inspect.iscoroutinefunction(predict)


@pytest.mark.fault("C8")
def test_a_copied_module_of_torch() -> None:
    """A copy of a module whose ``forward`` is watched has weights of its own, and counts in the same series."""
    torch = pytest.importorskip("torch")
    own = Monitor()

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        @own(model="net")
        def forward(self, x: Any) -> Any:
            return self.layer(x)

    net = Net()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.layer.weight.fill_(0.0)
        twin.layer.bias.fill_(3.0)
        assert twin(torch.ones(1, 2)).item() == 3.0
        assert net(torch.ones(1, 2)).item() != 3.0
    assert own.snapshot()["net"].calls == 2


@pytest.mark.fault("C8")
def test_a_cloned_estimator_with_a_decorated_method() -> None:
    """``sklearn.base.clone`` of an estimator whose ``predict`` is decorated gives one that is watched as well."""
    base = pytest.importorskip("sklearn.base")
    own = Monitor()

    class Constant(base.ClassifierMixin, base.BaseEstimator):
        def __init__(self, value: int = 1) -> None:
            self.value = value

        def fit(self, _x: Any, _y: Any) -> Constant:
            return self

        @own(model="constant")
        def predict(self, x: Any) -> list[int]:
            return [self.value] * len(x)

    first = Constant(3)
    second = base.clone(first).set_params(value=4)
    assert (first.predict([0]), second.predict([0])) == ([3], [4])
    assert own.snapshot()["constant"].predicted == {3: 1, 4: 1}
