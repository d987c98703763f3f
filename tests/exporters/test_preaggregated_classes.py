"""Differences of a lasting store whose cells give way to sums of each class, and names of generative models."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality
from otel_pipelines import Pipeline, values

from modelmon import Monitor, Multiclass
from modelmon.exporters.opentelemetry import GenAI, PreAggregated

SUMS = ("modelmon.class.support", "modelmon.class.predicted", "modelmon.class.true_positives")


def added(monitor, **given):
    """Return a pipeline that a monitor's points join."""
    pipeline = Pipeline(**given)
    provider: MeterProvider = pipeline.provider
    monitor.add(PreAggregated.into(pipeline.reader, meter_provider=provider))
    return pipeline


def joined(monitor, ids, predicted, actual):
    """Predict, and label."""
    monitor.predictions(ids, predicted, model="m", task=Multiclass())
    monitor.labels(ids, actual)


def test_sums_of_each_class_that_appear_later_hold_what_came_since(tmp_path):
    """What a store held, and what was sent as cells, is in no difference of a sum; what comes with it is."""
    earlier = Monitor(store=tmp_path / "labels.db", gpu=False)
    joined(earlier, range(64), [n % 32 for n in range(64)], [n % 32 for n in range(64)])
    earlier.close()
    monitor = Monitor(store=tmp_path / "labels.db", gpu=False)
    pipeline = added(monitor, preferred_temporality={ObservableCounter: AggregationTemporality.DELTA})
    assert "modelmon.confusion" not in pipeline.collect()
    joined(monitor, ["x"], [1], [2])
    assert values(pipeline.collect()["modelmon.confusion"], "actual", "predicted") == {("2", "1"): 1}
    joined(monitor, ["y", "z"], [32, 3], [32, 5])
    monitor.label("x", 1)
    found = pipeline.collect()
    assert "modelmon.confusion" not in found
    assert [values(found[name], "class") for name in SUMS] == [
        {("1",): 1, ("5",): 1, ("32",): 1},
        {("1",): 1, ("3",): 1, ("32",): 1},
        {("1",): 1, ("32",): 1},
    ]
    assert values(found["modelmon.class.support.retracted"], "class") == {("2",): 1}
    joined(monitor, ["w"], [33], [32])
    assert [values(found[name], "class") for found in [pipeline.collect()] for name in SUMS[:2]] == [
        {("32",): 1},
        {("33",): 1},
    ]
    monitor.close()
    pipeline.provider.shutdown()


def test_generative_models_of_any_name_and_slice():
    """A name too long to export is found all the same, and a slice's attribute does not pass for the convention's."""
    monitor, pipeline, name = Monitor(gpu=False), Pipeline(), "llama" * 40
    wanted = {name: GenAI("chat", "vllm")}
    monitor.add(PreAggregated.into(pipeline.reader, meter_provider=pipeline.provider, gen_ai=wanted))
    slices = {"gen_ai.operation.name": "mine"}
    monitor(lambda: None, model=name, attributes=lambda *_: slices)()
    (point,) = pipeline.collect()["gen_ai.server.request.duration"].data.data_points
    assert point.attributes["gen_ai.operation.name"] == "chat"
    assert point.attributes["attr_gen_ai.operation.name"] == "mine"
    assert point.attributes["gen_ai.request.model"].startswith("llamallama")
    monitor.close()
    pipeline.provider.shutdown()
