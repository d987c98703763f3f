# Everything is in dev.py; this only forwards: make demo, make test, make check.
PYTHON ?= python3

.PHONY: demo test check
demo test check:
	@$(PYTHON) dev.py $@ $(ARGS)
