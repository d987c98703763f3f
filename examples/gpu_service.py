"""A model on a GPU, watched: how long the device took, what the host saw of it, memory, and quality once labels come.

Run it with ``python gpu_service.py``; it needs torch.
Without a CUDA device it runs on the CPU and says so: then there is no device time, and none is claimed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from modelmon import Binary, monitor

if TYPE_CHECKING:
    from modelmon.readings.distributions import Distribution

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FEATURES = 256
net = torch.nn.Sequential(torch.nn.Linear(FEATURES, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 1)).to(DEVICE).eval()


@monitor(model="fraud", version="2026.10", task=Binary(), id="orders")
def score(orders: list[str], features: torch.Tensor) -> torch.Tensor:
    """Return how likely each order is a fraud; on a GPU this returns before the device has done it."""
    with torch.inference_mode():
        return torch.sigmoid(net(features)).squeeze(1)


@monitor(model="fraud", version="benchmark", task=Binary(), sync="device")
def score_and_wait(features: torch.Tensor) -> torch.Tensor:
    """Do the same and wait for the device, which tells the host's clock the truth and costs the overlap."""
    with torch.inference_mode():
        return torch.sigmoid(net(features)).squeeze(1)


def microseconds(durations: Distribution) -> str:
    """Return the median as text."""
    return f"{1e6 * durations.quantile(0.5):8.0f} µs"


def main(batches: int = 50, rows: int = 64) -> None:
    """Serve some batches, deliver their labels, and show what is known."""
    print(f"on {torch.cuda.get_device_name() if DEVICE == 'cuda' else 'the CPU: no CUDA device is there'}")
    for batch in range(batches):
        features = torch.randn(rows, FEATURES, device=DEVICE)
        orders = [f"order-{batch}-{row}" for row in range(rows)]
        scores = score(orders, features)
        score_and_wait(features)
        truths = (scores + 0.1 * torch.randn_like(scores)).round().clamp(0, 1).int().tolist()
        monitor.labels(orders, truths)
    time.sleep(0.1)
    monitor.flush()
    fraud = monitor.snapshot()["fraud", "2026.10"]
    print(fraud)
    print(f"the host saw    {microseconds(fraud.duration)} (median)")
    if fraud.device_duration.count:
        waited = monitor.snapshot()["fraud", "benchmark"]
        print(f"the device took {microseconds(fraud.device_duration)}, {fraud.device_duration.count} calls")
        print(f"waiting showed  {microseconds(waited.device_duration)}")
        print(f"it queued for   {microseconds(fraud.queue_delay)}")
    else:
        print("no device time: nothing ran on a CUDA device")
    if fraud.untimed:
        print(f"not timed on the device: {dict(fraud.untimed)}")


if __name__ == "__main__":
    main()
