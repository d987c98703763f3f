"""The scopes of the dashboards: what the reader chose."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.selectors import Scope

ONE: Final = Scope({"job": "~$job"}, {"model": "$model", "version": "~$version"})
FLEET: Final = Scope({"job": "~$job", "instance": "~$instance"})
CHAMPION: Final = Scope({"job": "~$job"}, {"model": "$model", "version": "$champion"})
CHALLENGER: Final = Scope({"job": "~$job"}, {"model": "$model", "version": "$challenger"})
EACH: Final = Scope({"job": "~$job"}, {"model": "$model"})
ALL: Final = Scope({"job": "~$job"}, {"model": "~$model"})
