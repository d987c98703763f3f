"""Watched callables of every kind behave as they would unwatched, and every call ends with one outcome."""

# Odd functions are the subject here.
# ruff: noqa: ARG005, A002, B024, PLR0917, D107

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import functools
import inspect
import operator
import traceback
import types
import typing

import pytest
from probe_desk import calls, outcomes

from modelmon.errors import ConfigurationError
from modelmon.probes import Site, watch

ENDINGS = [
    (ValueError("no"), "error", "ValueError"),
    (StopIteration(3), "error", "StopIteration"),
    (asyncio.CancelledError(), "cancelled", "CancelledError"),
    (concurrent.futures.CancelledError(), "cancelled", "CancelledError"),
    (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt"),
    (SystemExit(2), "cancelled", "SystemExit"),
    (GeneratorExit(), "abandoned", "GeneratorExit"),
    (BaseException("odd"), "error", "BaseException"),
]


def rich(a, /, b: int = 2, *rest, c: float = 3.0, **more) -> tuple:
    """Return everything."""
    return (a, b, rest, c, more)


def as_method(function):
    """Bind a function to an instance."""
    return types.MethodType(lambda self, *a, **k: function(*a, **k), object())


class Callable:
    """Call a function through an object."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        """Call it."""
        return self.function(*args, **kwargs)


SHAPES = [
    pytest.param(lambda f: f, id="function"),
    pytest.param(as_method, id="method"),
    pytest.param(staticmethod, id="staticmethod"),
    pytest.param(functools.partial, id="partial"),
    pytest.param(Callable, id="object"),
    pytest.param(functools.lru_cache(maxsize=None), id="lru_cache"),
    pytest.param(functools.singledispatch, id="singledispatch"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_result_is_the_same_object(desk, shape):
    """What a call returns is the object that the function returned."""
    result = object()

    def predict(x):
        return result

    site = desk.site()
    assert watch(shape(predict), site)("x") is result
    assert outcomes(site) == [("ok", "")]


@pytest.mark.fault("C1")
@pytest.mark.parametrize(("error", "outcome", "name"), ENDINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_exception_is_the_same_object(desk, shape, error, outcome, name):
    """What a call raises is the object that the function raised, without a cause or context of ours."""

    def predict(x):
        raise error

    site = desk.site()
    with pytest.raises(type(error)) as caught:
        watch(shape(predict), site)("x")
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert outcomes(site) == [(outcome, name)]


@pytest.mark.fault("C2")
@pytest.mark.parametrize(("error", "outcome", "name"), [e for e in ENDINGS if not isinstance(e[0], StopIteration)])
def test_coroutine_endings(desk, error, outcome, name):
    """A coroutine ends as its body ends."""

    async def predict(x):
        raise error

    watched, site = desk.watch(predict)
    with pytest.raises(type(error)) as caught:
        watched("x").send(None)
    assert caught.value is error
    assert outcomes(site) == [(outcome, name)]


def test_arguments_are_passed_as_given(desk):
    """Every kind of parameter arrives as it would without us."""
    watched, site = desk.watch(rich)
    assert watched(1) == rich(1)
    assert watched(1, 5, 6, c=7, d=8) == rich(1, 5, 6, c=7, d=8)
    assert watched(1, b=9, a=4) == rich(1, b=9, a=4)
    assert len(calls(site)) == 3


def test_arguments_that_do_not_bind_are_no_call(desk):
    """A TypeError of binding is raised as Python raises it, and nothing is counted."""
    watched, site = desk.watch(rich)
    with pytest.raises(TypeError, match=r"rich\(\) missing 1 required positional argument: 'a'"):
        watched()
    assert outcomes(site) == []


def test_unbound_arguments_of_a_proxy_are_no_call(desk):
    """A partial that is called wrongly was not called."""
    watched, site = desk.watch(functools.partial(rich))
    with pytest.raises(TypeError, match="missing 1 required"):
        watched()
    assert outcomes(site) == []


@pytest.mark.fault("C1")
def test_traceback_has_one_frame_of_ours(desk):
    """A traceback shows the wrapper once, with its text, between caller and function."""

    def predict(x):
        raise ValueError(x)

    for function, ours in ((predict, 1), (functools.partial(predict), 2)):
        watched, _ = desk.watch(function)
        with pytest.raises(ValueError, match="boom") as caught:
            watched("boom")
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert frames[-1].name == "predict"
        between = frames[1:-1]
        assert len(between) <= ours
        assert any("call" in frame.line for frame in between)


def kinds():
    """Return one function of every kind."""

    def plain(x: int = 1) -> int:
        """Document."""
        return x

    async def coroutine(x: int = 1) -> int:
        """Document."""
        return x

    def generator(x: int = 1) -> typing.Iterator[int]:
        """Document."""
        yield x

    async def stream(x: int = 1) -> typing.AsyncIterator[int]:
        """Document."""
        yield x

    return [plain, coroutine, generator, stream, lambda x=1: x, types.coroutine(generator)]


@pytest.mark.fault("C6")
@pytest.mark.parametrize("twin", kinds(), ids=lambda f: f.__name__)
def test_watched_function_looks_like_its_twin(desk, twin):
    """Everything that inspect tells is the same for the watched function and its twin."""
    twin.flag = "kept"
    watched, _ = desk.watch(twin)
    for ask in (
        inspect.signature, inspect.isfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction,
        inspect.isasyncgenfunction, inspect.isroutine, inspect.getdoc, inspect.getsource, inspect.getmodule,
        typing.get_type_hints, inspect.getfullargspec, operator.attrgetter("__name__"),
        operator.attrgetter("__qualname__"), operator.attrgetter("__module__"), operator.attrgetter("__defaults__"),
        operator.attrgetter("__kwdefaults__"), operator.attrgetter("flag"), callable,
    ):  # fmt: skip
        assert ask(watched) == ask(twin)
    assert watched.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE == twin.__code__.co_flags & 0x100
    assert watched.__wrapped__ is twin


@pytest.mark.fault("C6")
def test_alias_looks_like_a_function(desk):
    """A function watched under another name is a function to whoever asks, and binds as one."""
    watched, site = desk.watch(rich)
    assert inspect.isfunction(watched)
    assert inspect.signature(watched) == inspect.signature(rich)
    assert repr(watched).startswith("<function rich at")
    assert typing.get_type_hints(watched) == typing.get_type_hints(rich)
    holder = type("Holder", (), {"predict": watched})()
    assert holder.predict(5)[:2] == (holder, 5)
    assert holder.predict == holder.predict
    assert outcomes(site) == [("ok", "")]


@pytest.mark.fault("C5")
def test_methods_in_every_order(desk):
    """Methods, class methods and static methods work with the decorator above and below."""
    sites = [desk.site() for _ in range(6)]

    class Model(abc.ABC):
        def __init__(self):
            self.bias = 1

        @functools.partial(watch, site=sites[0])
        def predict(self, x):
            return x + self.bias

        @functools.partial(watch, site=sites[1])
        @classmethod
        def of_class(cls, x):
            return cls, x

        @classmethod
        @functools.partial(watch, site=sites[2])
        def also_of_class(cls, x):
            return cls, x

        @functools.partial(watch, site=sites[3])
        @staticmethod
        def alone(x):
            return x

        @staticmethod
        @functools.partial(watch, site=sites[4])
        def also_alone(x):
            return x

        half = watch(functools.partialmethod(predict.__wrapped__, 41), sites[5])

    model = Model()
    assert model.predict(1) == Model.predict(model, 1) == 2
    assert model.predict == model.predict
    assert model.of_class(1) == Model.of_class(1) == model.also_of_class(1) == Model.also_of_class(1) == (Model, 1)
    assert model.alone(1) == Model.alone(1) == model.also_alone(1) == Model.also_alone(1) == 1
    assert model.half() == 42
    assert [len(outcomes(site)) for site in sites] == [2, 2, 2, 2, 2, 1]


@pytest.mark.fault("C5")
def test_abstract_methods_stay_abstract(desk):
    """A watched abstract method still has to be overridden."""

    class Model(abc.ABC):
        @functools.partial(watch, site=desk.site())
        @abc.abstractmethod
        def predict(self, x): ...

    with pytest.raises(TypeError, match="abstract"):
        Model()


@pytest.mark.fault("C5")
def test_bound_method_stays_a_bound_method(desk):
    """An instance's own method can be watched alone."""
    owner = Callable(lambda x: x)
    watched, site = desk.watch(owner.__call__)
    assert inspect.ismethod(watched)
    assert watched.__self__ is owner
    assert watched(3) == 3
    assert outcomes(site) == [("ok", "")]


@pytest.mark.fault("C5")
def test_callable_object_keeps_type_and_attributes(desk):
    """A watched callable object passes for the object."""
    owner = Callable(len)
    watched, site = desk.watch(owner)
    assert isinstance(watched, Callable)
    assert watched.function is len
    watched.extra = 1
    assert owner.extra == 1
    assert watched([1, 2]) == 2
    assert outcomes(site) == [("ok", "")]


def test_asynchronous_callable_object(desk):
    """An object whose ``__call__`` is a coroutine is timed until it returns."""

    class Model:
        async def __call__(self, x):
            await asyncio.sleep(0)
            return x

    watched, site = desk.watch(Model())
    assert asyncio.run(watched(4)) == 4
    assert calls(site)[0]["value"] == 4


@pytest.mark.fault("C5")
def test_builtins(desk):
    """Functions written in C can be watched."""
    watched, site = desk.watch(sorted)
    assert watched([2, 1], reverse=False) == [1, 2]
    assert watched.__name__ == "sorted"
    assert calls(site)[0]["value"] == (1, 2)


@pytest.mark.fault("C4")
def test_recursion_counts_each_call(desk):
    """A recursive function is a call at every level."""
    site = desk.site()

    @functools.partial(watch, site=site)
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(5) == 120
    assert [call["value"] for call in calls(site)] == [1, 1, 2, 6, 24, 120]
    assert outcomes(site) == [("ok", "")] * 6


@pytest.mark.fault("C4")
def test_recursion_is_half_as_deep_at_most(desk):
    """A watched recursive function reaches at least half the depth that it reaches alone."""
    site = desk.site()

    @functools.partial(watch, site=site)
    def depth(n):
        try:
            return depth(n + 1)
        except RecursionError:
            return n

    assert depth(0) >= 0.4 * (1000 - len(inspect.stack()))


def test_two_names_for_one_function(desk):
    """One function watched as two models counts each call where it was made."""
    first, one = desk.watch(rich, model="a")
    second, two = desk.watch(rich, model="b")
    first(1)
    second(1)
    second(2)
    assert (len(outcomes(one)), len(outcomes(two))) == (1, 2)


def test_layers_are_models_of_their_own(desk):
    """A function decorated twice counts in both layers."""
    inner, outer = desk.site(), desk.site()

    def predict(x):
        return x

    assert watch(watch(predict, inner), outer)(3) == 3
    assert outcomes(inner) == outcomes(outer) == [("ok", "")]


@pytest.mark.fault("C5")
@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        (int, "decorate a method of int"),
        (property(lambda self: 1), "below the property"),
        (functools.cached_property(lambda self: 1), "below the cached_property"),
        (3, "type int cannot be called"),
    ],
)
def test_what_cannot_be_watched_says_what_can(desk, thing, advice):
    """Decorating what is no call raises at once and names what to decorate instead."""
    with pytest.raises(TypeError, match=advice):
        desk.watch(thing)


@pytest.mark.parametrize("setting", [{"id": "oops"}, {"attributes": ("oops",)}, {"batch_size": "oops"}])
def test_names_that_are_no_parameters(desk, setting):
    """A name that is no parameter is refused at the decoration, for functions and for proxies."""
    for function in (rich, functools.partial(rich)):
        with pytest.raises(ConfigurationError, match="oops"):
            desk.watch(function, **setting)


def test_parameters_may_have_any_name(desk):
    """No parameter name meets a name of ours or hides a built-in that the wrapper needs."""

    def predict(type, len, next, _mm_s, _mm__t, range, int, BaseException=0, *, str=1, float=2):  # noqa: N803
        return (type, len, next, _mm_s, _mm__t, range, int, BaseException, str, float)

    watched, site = desk.watch(predict, id="_mm_s", attributes=("len",), batch_size="range")
    assert watched(1, 2, 3, 4, 5, 6, 7) == (1, 2, 3, 4, 5, 6, 7, 0, 1, 2)
    assert calls(site)[0]["id"] == 4
    assert calls(site)[0]["slice"] == (("len", "2"),)
    assert calls(site)[0]["size"] == 6


def test_durations_are_read_around_the_function_only(ticking):
    """Two clock readings a call, the second before hooks run."""
    watched, site = ticking.watch(lambda x: 0.5, id=lambda arguments: ticking.clock() and "late")
    watched(1)
    call = calls(site)[0]
    assert call["end"] - call["start"] == 1_000_000_000


def test_seat_may_be_exchanged(desk):
    """Calls that begin after the exchange are recorded in the new seat, the others where they began."""
    site = desk.site()
    old = site.seat

    def predict(swap):
        if swap:
            site.seat = desk.seat(site)

    watched = watch(predict, site)
    watched(swap=True)
    watched(swap=False)
    assert (old.started, len(old.buffer)) == (1, 3)
    assert (site.seat.started, len(site.seat.buffer)) == (1, 3)


def test_site_knows_when_its_wrapper_is_gone(desk):
    """A wrapper that was collected cannot be called again, and its site says so."""

    def predict(x):
        return x

    watched, site = desk.watch(predict)
    assert not site.gone
    del watched
    assert site.gone


def test_seat_that_refuses_counts(desk):
    """While nobody can drain, records are counted as lost and nothing else happens."""
    watched, site = desk.watch(lambda x: x)
    site.seat.refuse()
    watched(1)
    site.seat.accept()
    watched(2)
    assert (site.seat.lost, site.seat.started, [call["value"] for call in calls(site)]) == (1, 2, [2])


def test_relief_is_asked_for_every_so_often(desk):
    """Every 1,024th call asks for relief; with a mask of zero every one does."""
    watched, site = desk.watch(lambda x: x)
    for _ in range(2049):
        watched(1)
    assert desk.reliefs == 3
    site.seat.mask = 0
    watched(1)
    assert desk.reliefs == 4


@pytest.mark.fault("C15")
def test_threads_lose_nothing(desk):
    """Eight threads record every call once, and every number is given once."""
    watched, site = desk.watch(lambda x: x, id="auto")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: [watched(n) for _ in range(500)], range(8)))
    assert len(outcomes(site)) == 4000
    assert sorted(call["id"] for call in calls(site)) == list(range(4000))


def test_site_without_home_takes_a_seat_from_its_maker():
    """A site without a home has no seat until somebody gives it one."""
    assert Site("m").seat is None


@pytest.mark.fault("C9")
@pytest.mark.slow
def test_compiled_functions_have_no_graph_break(desk):
    """``torch.compile`` traces through a watched function as if it were not watched."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, x):
            return x * 2

    sites = [desk.site(), desk.site(id="x")]
    Net.forward = watch(Net.forward, sites[0])
    alias = watch(_doubled, sites[1])
    for function in (Net(), alias):
        compiled = torch.compile(function, fullgraph=True, backend="eager")
        assert compiled(torch.ones(2)).tolist() == function(torch.ones(2)).tolist() == [2, 2]
    assert [len(outcomes(site)) for site in sites] == [1, 1]


def _doubled(x):
    return x * 2
