"""Keep outputs: what is kept of each type, that nothing is shared with it, and that unknown types are left alone."""

from __future__ import annotations

import array
import collections
import enum
import functools
import gc
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from modelmon import Monitor
from modelmon.copies import Coded, Nullable, Rejection, keep, kept_bytes
from modelmon.faults import is_signalled
from modelmon.identity import Missing, canonical_class, canonical_id


class Label(enum.Enum):
    """Stand for a user's enum."""

    CAT = "cat"


def flat(kept):
    """Return a kept value as plain lists."""
    if isinstance(kept, Coded):
        return [None if code < 0 else flat(kept.values)[code] for code in kept.codes.tolist()]
    if isinstance(kept, (np.ndarray, Nullable)):
        return kept.tolist()
    if isinstance(kept, tuple):
        return [flat(each) for each in kept]
    return kept


READ_ONLY = np.arange(3)
READ_ONLY.flags.writeable = False
KEPT = {
    "int": (3, 3),
    "float": (0.5, 0.5),
    "str": ("a", "a"),
    "bool": (True, True),
    "none": (None, None),
    "bytes": (b"a", b"a"),
    "np.int64": (np.int64(3), 3),
    "np.float32": (np.float32(0.5), 0.5),
    "np.float16": (np.float16(0.5), 0.5),
    "np.longdouble": (np.longdouble(0.5), 0.5),
    "np.bool": (np.True_, True),
    "np.str": (np.str_("a"), "a"),
    "np.bytes": (np.bytes_(b"a"), b"a"),
    "np.nat": (np.datetime64("NaT", "ns"), None),
    "enum": (Label.CAT, "cat"),
    "bytearray": (bytearray(b"a"), b"a"),
    "range": (range(3), [0, 1, 2]),
    "array": (array.array("d", [0.5]), [0.5]),
    "list": ([1, "a", None], [1, "a", None]),
    "tuple": ((1, 2), [1, 2]),
    "empty": ([], []),
    "rows": ([[1, 2], (3, 4)], [[1, 2], [3, 4]]),
    "list-of-scalars": ([np.int64(1), np.array(2)], [1, 2]),
    "list-of-arrays": ([np.array([1, 2]), np.array([3, 4])], [[1, 2], [3, 4]]),
    "rows-of-scalars": ([[np.float32(0.5), 1]], [[0.5, 1]]),
    "enums": ([Label.CAT, None], ["cat", None]),
    "set": ({1}, frozenset({1})),
    "0-d": (np.array(3), 3),
    "one": (np.array([3.5]), 3.5),
    "long-one": (np.array([0.5], np.longdouble), 0.5),
    "1-d": (np.arange(3), [0, 1, 2]),
    "2-d": (np.eye(2), [[1, 0], [0, 1]]),
    "reversed": (np.arange(3)[::-1], [2, 1, 0]),
    "strided": (np.arange(6)[::2], [0, 2, 4]),
    "fortran": (np.asfortranarray(np.eye(2)), [[1, 0], [0, 1]]),
    "read-only": (READ_ONLY, [0, 1, 2]),
    "big-endian": (np.arange(3, dtype=">i4"), [0, 1, 2]),
    "half": (np.array([0.5, 1], np.float16), [0.5, 1]),
    "long-double": (np.array([0.5, 1], np.longdouble), [0.5, 1]),
    "text": (np.array(["a", "b"]), ["a", "b"]),
    "np-bytes": (np.array([b"a", b"b"]), [b"a", b"b"]),
    "objects": (np.array([1, "a", None], object), [1, "a", None]),
    "0-d-object": (np.array("a", object), ["a"]),
    "masked": (np.ma.array([1, 2], mask=[0, 1]), [1, None]),
    "masked-none": (np.ma.array([1, 2]), [1, 2]),
    "masked-constant": (np.ma.masked, None),
    "masked-objects": (np.ma.array(["a", 1], mask=[0, 1], dtype=object), ["a", None]),
    "masked-rows": (np.ma.array([[0.5, 1]], mask=[[0, 1]]), [[0.5, None]]),
    "matrix": (np.ones((1, 2)).view(np.matrix), [[1, 1]]),
    "series": (pd.Series([0.5, 1]), [0.5, 1]),
    "Int64": (pd.Series([1, None], dtype="Int64"), [1, None]),
    "category": (pd.Series(["a", None], dtype="category"), ["a", None]),
    "index": (pd.Index([1, 2]), [1, 2]),
    "one-category": (pd.Series([5, 5], dtype="category"), None),
    "frame": (pd.DataFrame({"a": [1.0, 2]}), [[1], [2]]),
    "pandas-array": (pd.array([1, None]), [1, None]),
    "NA": (pd.NA, None),
    "NaT": (pd.NaT, None),
    "polars": (pl.Series([1, None]), [1, None]),
    "polars-frame": (pl.DataFrame({"a": [1.0, 2]}), [[1], [2]]),
    "arrow": (pa.array([1, None]), [1, None]),
    "chunked": (pa.chunked_array([[1], [2]]), [1, 2]),
    "no-chunks": (pa.chunked_array([], pa.int64()), []),
    "arrow-scalar": (pa.scalar(3), 3),
    "arrow-lists": (pa.array([[1, 2], [3]]), [[1, 2], [3]]),
    "polars-lists": (pl.Series([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
}
if hasattr(pl, "Int128"):  # not in the oldest version
    KEPT["polars-wide"] = (pl.Series([2**100, 5, None], dtype=pl.Int128), [2**100, 5, None])
    KEPT["one-polars-wide"] = (pl.Series([-(2**100)], dtype=pl.Int128), [-(2**100)])
KEPT_TENSORS = {
    "tensor": (lambda torch: torch.tensor([1, 2]), [1, 2]),
    "tensors": (lambda torch: [np.int64(1), torch.tensor(2)], [1, 2]),
    "0-d-tensor": (lambda torch: torch.tensor(0.5), 0.5),
    "one-tensor": (lambda torch: torch.tensor([3]), 3),
    "grad": (lambda torch: torch.tensor([0.5, 1.0], requires_grad=True), [0.5, 1]),
    "parameter": (lambda torch: torch.nn.Parameter(torch.ones(2)), [1, 1]),
    "bfloat16": (lambda torch: torch.tensor([0.5, 1], dtype=torch.bfloat16), [0.5, 1]),
    "half-tensor": (lambda torch: torch.ones(2).half(), [1, 1]),
    "float8": (lambda torch: torch.ones(2).to(torch.float8_e4m3fn), [1, 1]),
    "strided-tensor": (lambda torch: torch.arange(6)[::2], [0, 2, 4]),
    "bool-tensor": (lambda torch: torch.tensor([True, False]), [True, False]),
    "2-d-tensor": (lambda torch: torch.eye(2).T, [[1, 0], [0, 1]]),
}


def case_of(name, cases, tensors):
    """Return a case; those of tensors are made here, and skipped where torch is not installed."""
    if name in cases:
        return cases[name]
    make, *expected = tensors[name]
    return make(pytest.importorskip("torch")), *expected


@pytest.mark.parametrize("name", [*KEPT, *KEPT_TENSORS])
def test_what_is_kept(name):
    """Every supported type is kept as the plain values it holds."""
    value, expected = case_of(name, KEPT, KEPT_TENSORS)
    kept = keep(value)
    if expected is not None:
        assert flat(kept) == expected
    assert not isinstance(kept, Rejection)
    assert kept_bytes(kept) > 0 or len(kept) == 0
    assert type(kept).__module__.partition(".")[0] in {"builtins", "numpy", "modelmon"}


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024
REJECTED = {
    "object": (object(), "type", 1),
    "dict": ({"a": 1}, "type", 1),
    "generator": ((x for x in "ab"), "type", 1),
    "complex": (1j, "type", 1),
    "class": (int, "type", 1),
    "function": (len, "type", 1),
    "deque": (collections.deque([1]), "type", 1),
    "namedtuple": (Point(1, 2), "type", 1),
    "structured": (np.zeros(3, [("a", int)]), "type", 3),
    "datetime": (np.array(["2020", "2021"], "M8[D]"), "type", 2),
    "complex-array": (np.ones(2, complex), "type", 2),
    "3-d": (np.ones((4, 2, 2)), "shape", 4),
    "masked-3-d": (np.ma.ones((4, 2, 2)), "shape", 4),
    "masked-dates": (np.ma.array(["2020", "2021"], "M8[D]"), "type", 2),
    "timestamp": (pd.Timestamp(0), "type", 1),
    "pandas-dates": (pd.Series(pd.to_datetime(["2020"])), "type", 1),
    "pandas-zoned": (pd.Series(pd.to_datetime(["2020"] * 2).tz_localize("UTC")), "type", 2),
    "polars-dates": (pl.Series([pd.Timestamp(0).to_pydatetime()]), "type", 1),
    "arrow-dates": (pa.array([1, 2], pa.date32()), "type", 2),
    "np-date": (np.datetime64("2020"), "type", 1),
    "set-of-tuples": ({(1, 2)}, "type", 1),
    "memoryview": (memoryview(b"a"), "type", 1),
}
REJECTED_TENSORS = {
    "meta": (lambda torch: torch.empty(3, device="meta"), "type", 3),
    "sparse": (lambda torch: torch.eye(3).to_sparse(), "type", 3),
    "complex-tensor": (lambda torch: torch.ones(2, dtype=torch.complex64), "type", 2),
    "3-d-tensor": (lambda torch: torch.ones(4, 2, 2), "shape", 4),
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("name", [*REJECTED, *REJECTED_TENSORS])
def test_what_is_rejected(name):
    """What has no meaning as an output is rejected with a reason and, where known, its rows."""
    value, reason, rows = case_of(name, REJECTED, REJECTED_TENSORS)
    kept = keep(value)
    assert isinstance(kept, Rejection)
    assert (kept.reason, kept.rows) == (reason, rows)
    assert reason in repr(kept)


def test_element_of_unknown_type_is_rejected_alone():
    """One unknown object in a list does not cost the others."""
    kept = keep([1, object(), [1, object()], 2])
    assert kept[0] == 1
    assert kept[3] == 2
    assert isinstance(kept[1], Rejection)
    assert isinstance(kept[2], Rejection)


class Touched(BaseException):
    """Say that a method of a user's object was called; no handler of ``Exception`` would hide it."""


def touch(*_args, **_kwargs):
    """Raise."""
    raise Touched


DUNDERS = (
    "__len__ __eq__ __ne__ __hash__ __bool__ __repr__ __str__ __iter__ __getitem__ __contains__ __array__ __float__ "
    "__int__ __index__ __getattr__ __getattribute__ __call__ __format__ __reduce__ __reduce_ex__ __array_interface__ "
    "__dlpack__ __sizeof__ __dir__ __lt__ __copy__ __deepcopy__ __array_ufunc__ __enter__ __bytes__ __complex__"
).split()


class Meta(type):
    """Stand for a metaclass that raises where a class is looked into."""

    __instancecheck__ = __subclasscheck__ = __getattribute__ = __repr__ = __iter__ = __len__ = touch


ALL = dict.fromkeys(DUNDERS, touch)
EVIL = {
    "object": type("Evil", (), ALL),
    "dict": type("Evil", (dict,), ALL),
    "list": type("Evil", (list,), ALL),
    "name": type("ndarray", (), {**ALL, "__module__": "my.numpy"}),
}


def evil_thing(name):
    """Make an object that raises whatever is done to it."""
    return EVIL[name]() if name in EVIL else type.__call__(Meta("Evil", (), ALL))


@pytest.mark.fault("C13")
@pytest.mark.parametrize("name", [*EVIL, "metaclass"])
def test_no_method_of_an_unknown_object_is_called(name):
    """An object all of whose methods raise is rejected untouched, by itself, in a list and in a row."""
    evil = evil_thing(name)
    assert isinstance(keep(evil), Rejection)
    assert isinstance(keep([evil, 1])[0], Rejection)
    assert isinstance(keep([[evil, 1]])[0], Rejection)
    assert isinstance(keep((1, evil))[1], Rejection)
    assert isinstance(keep(np.array([None, 1], object)), tuple)


def test_subclasses_of_plain_types_are_taken_past_their_methods():
    """Text, numbers and bytes of a user's subclass are kept as the plain values inside, none of its methods called."""
    for base, value in ((str, "a"), (int, 3), (float, 0.5)):
        kind = type(
            "Sub", (base,), dict.fromkeys(["__eq__", "__hash__", "__str__", "__repr__", "__bool__", "__len__"], touch)
        )
        kept = keep(kind(value))
        assert (type(kept), kept) == (base, value)
        assert keep([kind(value), None]) == (value, None)


@pytest.mark.fault("C13", "X12")
def test_array_that_lies_is_rejected():
    """A subclass of a known family that raises is rejected, and nothing comes out of ``keep``."""
    torch = pytest.importorskip("torch")

    class Liar(torch.Tensor):
        def detach(self):
            raise ValueError

    assert isinstance(keep(torch.ones(3).as_subclass(Liar)), Rejection)


class Marked(np.ndarray):
    """Stand for a user's array, which can be referred to weakly."""


MUTABLE = {
    "list": lambda: [1, 2, 3],
    "rows": lambda: [[1, 2], [3, 4]],
    "numpy": lambda: np.arange(3.0),
    "view": lambda: np.arange(6.0)[::2],
    "matrix": lambda: np.ones((2, 2)),
    "subclass": lambda: np.arange(3.0).view(Marked),
    "masked": lambda: np.ma.array([1, 2], mask=[0, 1]),
    "tensor": lambda: pytest.importorskip("torch").arange(3),
    "bfloat16": lambda: pytest.importorskip("torch").ones(3).bfloat16(),
    "2-d-tensor": lambda: pytest.importorskip("torch").ones(2, 2),
    "series": lambda: pd.Series([1.0, 2.0]),
    "nullable": lambda: pd.Series([1, None], dtype="Int64"),
    "set": lambda: {1, 2},
    "objects": lambda: np.array([1, "a"], object),
    "array": lambda: array.array("i", [1, 2]),
    "frame": lambda: pd.DataFrame({"a": [1, 2]}),
    "list-of-arrays": lambda: [np.array([1, 2]), np.array([3, 4])],
    "categorical": lambda: pd.Categorical(["a", "b"]),
}


def spoil(value):
    """Change everything in a mutable value."""
    if isinstance(value, set):
        value.add(99)
    elif isinstance(value, list):
        for position, each in enumerate(value):
            if isinstance(each, (list, np.ndarray)):
                each[0] = 99
            else:
                value[position] = 99
    elif isinstance(value, pd.Categorical):
        value[:] = "a"
    elif isinstance(value, (pd.Series, pd.DataFrame)):
        value.iloc[:] = 99
    elif isinstance(value, array.array):
        value[0] = 99
    else:
        value[...] = 99


@pytest.mark.fault("C16")
@pytest.mark.parametrize("name", MUTABLE)
def test_later_changes_are_not_seen(name):
    """Whatever the caller does to the output afterwards, what was kept stays."""
    value = MUTABLE[name]()
    kept = keep(value)
    before = repr(flat(kept))
    spoil(value)
    assert repr(flat(kept)) == before


@pytest.mark.fault("C14")
@pytest.mark.parametrize("name", [name for name in MUTABLE if name not in {"list", "rows"}])
def test_nothing_kept_holds_the_object(name):
    """The output dies with its last user, the garbage collector off."""
    value = MUTABLE[name]()
    if isinstance(value, list):
        value = value[0]
    reference = weakref.ref(value)
    gc.collect()
    gc.disable()
    try:
        kept = keep(value)
        del value
        assert reference() is None
    finally:
        gc.enable()
    assert not isinstance(kept, Rejection)


def test_base_of_a_view_is_not_held():
    """Of a small view of a large array the view alone is kept."""
    large = np.ones(1_000_000)
    kept = keep(large[::100_000])
    assert kept.base is None
    assert kept_bytes(kept) == 80
    assert sys.getrefcount(large) == 2


def test_storage_of_a_view_is_not_held():
    """Of a small view of a large tensor the view alone is kept."""
    kept = keep(pytest.importorskip("torch").ones(1_000_000)[:10])
    assert kept.nbytes == 40
    assert kept.base is None or kept.base.untyped_storage().nbytes() == 40


@pytest.mark.fault("L8")
@pytest.mark.parametrize("size", [0, 1, 1_000, 1_000_000])
def test_sizes(size):
    """Empty, single and very large batches are kept, an array in little more time than it takes to copy it."""
    numbers = np.arange(size)
    assert np.size(keep(numbers)) == size
    assert len(keep(list(range(size)))) == size
    started = time.process_time()
    keep(numbers)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("size", [0, 1, 1_000, 1_000_000])
def test_sizes_of_tensors(size):
    """Empty, single and very large tensors are kept whole."""
    assert np.size(keep(pytest.importorskip("torch").arange(size))) == size


def test_bytes_are_about_right():
    """The size of what is kept is counted, long texts and arrays above all."""
    assert kept_bytes(keep("x" * 10_000)) >= 10_000
    assert kept_bytes(keep(["x" * 10_000] * 3)) >= 30_000
    assert kept_bytes(keep(["x" * 10_000, 1])) >= 10_000
    assert kept_bytes(keep([1, "x" * 10_000])) >= 40
    assert kept_bytes(keep(np.ones(1000))) == 8000
    assert kept_bytes(keep([[1, 2]] * 100)) >= 100 * 2 * 8
    assert 8 * 1000 <= kept_bytes(keep([0.5] * 1000)) <= 64 * 1000
    assert kept_bytes(Rejection("type")) > 0


def test_types_made_per_call_do_not_pile_up():
    """Classes that come and go are not held by the cache of types."""

    def once():
        kind = type("Once", (), {})
        keep(kind())
        return weakref.ref(kind)

    references = [once() for _ in range(20)]
    for number in range(600):
        keep(type(f"Array{number}", (np.ndarray,), {})(2))
    gc.collect()
    assert not any(reference() for reference in references)
    assert isinstance(keep([1, 2]), tuple)


def test_call_half_loads_the_standard_library_alone():
    """Tasks, identity and copies import no numpy, no dataclasses and no inspect."""
    code = (
        "import sys; before = set(sys.modules); import modelmon.tasks, modelmon.identity, modelmon.copies as c\n"
        "c.keep([1, [2]]); c.keep(object()); print(sorted(n.split('.')[0] for n in set(sys.modules) - before))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = set(eval(done.stdout))  # noqa: S307
    assert loaded - {"modelmon"} <= set(sys.stdlib_module_names)
    assert not loaded & {"inspect", "dataclasses", "asyncio", "logging"}


class _Unhashable(type):  # noqa: PLW1641
    def __eq__(cls, other):
        return cls is other


class _Refusing(type):
    def __hash__(cls):
        raise KeyboardInterrupt


@pytest.mark.parametrize("meta", [_Unhashable, _Refusing])
def test_classes_that_cannot_be_hashed(meta):
    """A class whose metaclass spoils its hash is of an unknown type like any other, wherever it stands."""
    odd = meta("Odd", (), {})()
    assert keep(odd).reason == "type"
    assert [type(element) for element in keep([1, odd])] == [int, Rejection]
    assert [type(element) for element in keep([[1, odd], [2]])] == [Rejection, tuple]
    assert keep({odd}).reason == "type"
    assert (canonical_class(odd), canonical_id(odd)) == (Missing.INVALID, None)
    watched = Monitor()
    for ident, truth in (("a", odd), (odd, 1), (odd, odd)):
        assert watched.label(ident, truth)["invalid"] == 1


@pytest.mark.parametrize("raised", [TimeoutError, ValueError])
def test_signals_pass_while_a_value_is_kept(raised):
    """What a signal handler raises while a library copies an array passes; what the library raises is swallowed."""

    def handler(*_):
        raise raised

    class Series:
        def to_numpy(self):
            if self.struck:
                signal.raise_signal(signal.SIGUSR1)
            raise raised

        dtype = np.dtype(float)

    Series.__module__ = "pandas"
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        Series.struck = True
        with pytest.raises(raised):
            keep(Series())
        Series.struck = False
        assert keep(Series()).reason == "type"
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("handler", [functools.partial(print, 1), signal.SIG_DFL, Rejection])
def test_handlers_without_code(handler):
    """Handlers written in C, and classes, are no frame of a fault."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(ZeroDivisionError) as caught:
            divmod(1, 0)
        assert not is_signalled(caught.value)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("make", [list, tuple, frozenset])
def test_large_sequences_are_measured_by_a_sample(make):
    """Bytes of a long sequence are right within a percent though few elements are looked at."""
    values = [f"{n:06}" for n in range(50_000)]
    assert kept_bytes(keep(make(values))) == pytest.approx(50_000 * (8 + 64 + 6), rel=0.01)


def test_large_lists_cost_a_few_copies():
    """A list of a million elements costs no more than a look at each type and a copy: no call of Python's for each."""
    calls = []
    sys.setprofile(lambda *_: calls.append(1))
    try:
        kept = keep(list(range(100_000)))
        kept_bytes(kept)
    finally:
        sys.setprofile(None)
    assert len(calls) < 5000
