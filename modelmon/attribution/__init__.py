"""Which model drew the energy of a device: pure arithmetic on one device's counter and the calls' intervals.

1. Energy is whole microjoules, and all of it ends somewhere: what calls got and what none got is what was drawn.
2. A call shares each instant with the calls that run at the same time; what it had of an interval is its exposure.
3. What the device draws when no call runs belongs to no call.
4. Models that draw differently are told apart by least squares over windows of a second or more, once these are sure.
"""

from modelmon.attribution.devices import Attribution
from modelmon.attribution.learning import Power
from modelmon.attribution.settlements import Settlement

__all__ = ["Attribution", "Power", "Settlement"]
