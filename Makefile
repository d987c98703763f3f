# Everything is in dev.py; this only forwards: make demo, make test ARGS=-x, make faults, make check, make bench, make soak.
PYTHON ?= python3

.PHONY: demo test faults check bench soak
demo test faults check bench soak:
	@$(PYTHON) dev.py $@ $(ARGS)
