"""The demo: two real models watched live, and our numbers beside scikit-learn's at the end."""

from modelmon.demo import needs as needs  # first: it says which extra is missing
from modelmon.demo.stage import play as play
