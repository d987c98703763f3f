# Everything is in dev.py; this only forwards: make demo, make test ARGS=-x, make faults, make check, make bench.
PYTHON ?= python3

.PHONY: demo test faults check bench
demo test faults check bench:
	@$(PYTHON) dev.py $@ $(ARGS)
