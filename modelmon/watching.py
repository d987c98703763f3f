"""Declaring what is watched: the decorator, the context manager, and predictions that no call produced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from modelmon.declarations import agreed, check
from modelmon.errors import ConfigurationError, RejectedError
from modelmon.forking import load_counting
from modelmon.identity import OTHER
from modelmon.probes.seats import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelmon.probes.contexts import CallContext
    from modelmon.probes.seats import Seat
    from modelmon.receipts.promises import Promises
    from modelmon.recorder import Recorder
    from modelmon.tasks import Task

F = TypeVar("F", bound="Callable[..., Any]")
SERIES_BUDGET = 1000
_TASK_BUDGET = 100  # of models past the budget of series
_REMEMBERED = 10_000  # blocks, those of names past the budget included


class Watching:
    """Make sites and give them seats in the current recorder."""

    __slots__ = ()
    _recorder: Recorder
    _contexts: dict[tuple[Any, ...], Site]
    _tasks: dict[tuple[str, str], Task | None]

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(
        self,
        function: None = None,
        /,
        *,
        model: str | None = None,
        version: str = "",
        task: Task | None = None,
        id: str | Callable[[Mapping[str, Any]], Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        attributes: Iterable[str] | Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        batch_size: str | Callable[[Mapping[str, Any]], int] | None = None,
        tokens: Callable[[Any], int] | None = None,
        sync: Literal["device"] | None = None,
    ) -> Callable[[F], F]: ...

    def __call__(
        self,
        function: F | None = None,
        /,
        *,
        model: str | None = None,
        version: str = "",
        task: Task | None = None,
        id: str | Callable[[Mapping[str, Any]], Any] | None = None,
        output: Callable[[Any], Any] | None = None,
        attributes: Iterable[str] | Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        batch_size: str | Callable[[Mapping[str, Any]], int] | None = None,
        tokens: Callable[[Any], int] | None = None,
        sync: Literal["device"] | None = None,
    ) -> F | Callable[[F], F]:
        """Watch a function, coroutine, generator, method or callable object; used as a decorator.

        Args:
            function: what to watch, where the decorator is used bare.
            model: the model's name; the function's module and qualified name if left out.
            version: its version.
            task: how outputs are read: ``Binary``, ``Multiclass``, ``Multilabel`` or ``Regression``.
            id: name of the parameter that holds the prediction id (or a sequence of ids for a batch), a function of
                the bound arguments (a mapping by name), or ``"auto"`` to have ids issued.
            output: function of the returned value, or of a streamed item, that gives the prediction.
            attributes: names of parameters, or a function of the bound arguments, that give the slice.
            batch_size: name of a parameter, or a function of the bound arguments, that tells the rows of a call.
            tokens: function of a streamed item that tells how many items it stands for.
            sync: None; or ``"device"`` to wait for the device within the call, which is for benchmarks.

        Returns:
            The watched callable, of the same kind, signature and type; with ``MODELMON_DISABLED=1`` the function.

        Raises:
            ConfigurationError: when an argument cannot work; never later, from a call.
            TypeError: when this cannot be watched; the message says what to decorate instead.
        """
        options = {
            "version": version,
            "task": task,
            "id": id,
            "output": output,
            "attributes": attributes,
            "batch_size": batch_size,
            "tokens": tokens,
            "sync": sync,
        }
        if function is None:
            return lambda wanted: self._watch(wanted, model, options)
        watched: F = self._watch(function, model, options)
        return watched

    def call(
        self,
        *,
        model: str,
        version: str = "",
        task: Task | None = None,
        attributes: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        receipts: bool = False,
        sync: Literal["device"] | None = None,
    ) -> CallContext:
        """Watch a block: ``with monitor.call(model="fraud") as call:``, or ``async with``.

        In the block, ``call.prediction(id, value)`` and ``call.predictions(ids, values)`` record predictions and
        ``call.item()`` marks a streamed item; ``call.ids`` are the ids of its predictions.

        Args:
            model: the model's name.
            version: its version.
            task: how predictions are read.
            attributes: the slice, as attribute name to value.
            batch_size: rows of this call; counted from the predictions if left out.
            receipts: the predictions await no label; ``call.receipt(id)`` gives a signed text to send back with it.
            sync: None; or ``"device"`` to wait for the device within the call, which is for benchmarks.

        Raises:
            ConfigurationError: when an argument cannot work.
        """
        from modelmon.probes.contexts import CallContext  # noqa: PLC0415  (only for those who use it)

        if disabled():
            return CallContext(None)
        site = self._context(model, version, task, sync, receipts=receipts)
        promises = self._promises(site) if receipts else None
        return CallContext(site, attributes=attributes, batch_size=batch_size, promises=promises)

    def predictions(
        self,
        ids: Any,
        values: Any,
        *,
        model: str,
        version: str = "",
        task: Task | None = None,
        attributes: Mapping[str, Any] | None = None,
        at: Any = None,
    ) -> None:
        """Record predictions that no watched call produced: a batch job, a replay, another service.

        Args:
            ids: ``n`` prediction ids, or None where nothing awaits a label.
            values: ``n`` predictions, as a watched function would return them.
            model: the model's name.
            version: its version.
            task: how the values are read.
            attributes: the slice of all of them, as attribute name to value.
            at: when they were made: one or ``n`` seconds since the epoch, aware datetimes or timestamps; now if None.

        Raises:
            ValueError: when lengths differ or ``at`` cannot be read; nothing is recorded then.
        """
        if disabled():
            return
        load_counting()
        from modelmon.intake import record_predictions  # noqa: PLC0415  (numpy loads at the first need)

        site = self._context(model, version, task)
        rejected = record_predictions(self._recorder, site, ids, values, attributes=attributes, at=at)
        if rejected and self._recorder.settings.strict:
            msg = f"rejected predictions of {model!r}, by reason: {rejected}"
            raise RejectedError(msg)

    def seat(self, site: Site) -> Seat:
        """Return a seat for a site in the current recorder; a site that was unpickled here calls this."""
        return self._recorder.seat(site)

    def _watch(self, function: Any, model: str | None, options: dict[str, Any]) -> Any:
        if disabled():
            return function
        from modelmon.probes import watch  # noqa: PLC0415  (code generation loads with the first decoration)

        if isinstance(function, str):
            msg = f"there is nothing to watch in {function!r}; did you mean monitor(model={function!r})?"
            raise TypeError(msg)
        known = dict(self._tasks)
        site = self._site(model_name(function) if model is None else model, options)
        try:
            return watch(function, site)
        except BaseException:  # what could not be watched was not declared either
            self._tasks.clear()
            self._tasks.update(known)
            self._recorder.seats.remove(site.seat)
            raise

    def _promises(self, site: Site) -> Promises:
        from modelmon.receipts.promises import Promises  # noqa: PLC0415  (only for those who use it)
        from modelmon.signing import VARIABLE, Keys  # noqa: PLC0415  (the same)

        recorder = self._recorder
        keys = Keys.chosen(recorder.settings.receipt_key)
        if keys is None:
            msg = f"receipts=True needs a key to sign with: Monitor(receipt_key=...), or {VARIABLE} in the environment"
            raise ConfigurationError(msg)
        name, troubles = (site.model, site.version), recorder.troubles
        return Promises(name, site.task, keys, recorder.clock.time, troubles.issued, troubles.too_long)

    def _context(
        self, model: str, version: str, task: Task | None, sync: str | None = None, *, receipts: bool = False
    ) -> Site:
        """Return the one site of a model's blocks; its records have room for a slice and a batch size."""
        key = (model, version, task, receipts, sync)  # predictions with ids and without do not share a buffer
        site = self._contexts.get(key)
        if site is None:
            options = {"version": version, "task": task, "sync": sync, "attributes": (), "batch_size": len}
            room = self._has_room(model, version)
            site = self._site(model, options) if room else self._shared(model, options, receipts=receipts)
            if room or len(self._contexts) < _REMEMBERED:
                self._contexts[key] = site
        if site.task is None:  # it may have been declared since
            site.task = self._tasks.get((model, version))
        return site

    def _shared(self, model: str, options: dict[str, Any], *, receipts: bool) -> Site:
        """Return the site of blocks past the budget of models, one for each task, however many names there are."""
        known = self._contexts
        key = (None, "", options["task"], receipts, options["sync"])
        if key not in known and sum(1 for name, *_ in known if name is None) >= _TASK_BUDGET:
            options = {**options, "task": _any_task()}
            key = (None, "", options["task"], receipts, options["sync"])
        site = known.get(key)
        if site is None:
            site = known[key] = self._site(model, options)
        else:
            check(model, options)
            self._recorder.count("overflow", "series")
        return site

    def _has_room(self, model: str, version: str) -> bool:
        return (model, version) in self._tasks or len(self._tasks) < SERIES_BUDGET

    def _site(self, model: str, options: dict[str, Any]) -> Site:
        version = options.get("version", "")
        check(model, options)
        if not self._has_room(model, version):
            self._recorder.count("overflow", "series")
            return Site(OTHER, home=self, **{**options, "version": ""})
        task = agreed(model, version, self._tasks.get((model, version)), options.get("task"))
        self._tasks[model, version] = task
        return Site(model, home=self, **{**options, "task": task})


def _any_task() -> Task:
    """Return what stands for tasks past their budget: what is read by it is rejected."""
    from modelmon.tasks import Multiclass  # noqa: PLC0415  (only for those who have so many)

    return Multiclass(classes=(OTHER,))


def disabled() -> bool:
    """Tell whether ``MODELMON_DISABLED`` switches the library off."""
    return os.environ.get("MODELMON_DISABLED", "").strip().lower() in ("1", "true")


def model_name(function: Any) -> str:
    """Return the default name of a model: module and qualified name of what is watched.

    >>> model_name(model_name)
    'modelmon.watching.model_name'
    """
    inner = function
    while not hasattr(inner, "__qualname__"):
        deeper = getattr(inner, "__func__", None) or getattr(inner, "func", None)
        if deeper is None:
            inner = type(inner)
            break
        inner = deeper
    module = getattr(inner, "__module__", None)
    return f"{module}.{inner.__qualname__}" if module else str(inner.__qualname__)
