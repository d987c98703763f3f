# Everything is in dev.py; this only forwards: make demo, make test ARGS=-x, make faults, make check, make bench, make soak, make dashboards.
PYTHON ?= python3

.PHONY: demo test faults check bench soak dashboards
demo test faults check bench soak dashboards:
	@$(PYTHON) dev.py $@ $(ARGS)
