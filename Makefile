# Everything is in dev.py; this only forwards: make demo, make test ARGS=-x, make check, make bench.
PYTHON ?= python3

.PHONY: demo test check bench
demo test check bench:
	@$(PYTHON) dev.py $@ $(ARGS)
