# Checks and tests: what CI runs.

# What a project says of its own tests, in tests/tests.mk.
HOST =
CANARY =
GENERATED =

TAKES_test = V MARK
test: environment ## Run the tests; MARK=engine: those of a mark
	@$(MAKE) test-$(ENGINE)

PYTEST = tests
marked = $(if $(strip $(1)),-m $(call quoted,$(strip $(1))))
.PHONY: test-local test-docker
test-local:
	@$(INSIDE_local) pytest $(call marked,$(MARK)) $(PYTEST)

# HOST is the mark of tests that need what the image has not: they run beside it.
test-docker:
	@$(INSIDE_docker) test $(call marked,$(HOST:%=not %) $(and $(HOST),$(MARK),and) $(MARK)) $(PYTEST) $(if $(HOST),$(if $(MARK),,&& \
	BASE_IMAGE=$(call quoted,$(BASE_IMAGE)) $(INSIDE_local) pytest $(call marked,$(HOST)) $(PYTEST)))

check: $(LOCAL) check-lock ## Lock, style, types, notebooks, Dockerfile: what CI checks before tests
	@$(INSIDE_local) sh -c 'unset VIRTUAL_ENV && ruff check --quiet . && ruff format --quiet --check . && pyrefly check --summary=none $(if $(wildcard pyproject.toml),,--config scripts/pyproject.toml) && \
	  nbstripout --keep-id --verify notebooks/*.ipynb && { [ "$$(uname)" != Linux ] || hadolint Dockerfile; }' && \
	$(if $(CANARY),{ ! $(INSIDE_local) pyrefly check $(CANARY) >/dev/null 2>&1 || { \
	  echo "error: the type checker finds nothing in $(CANARY): it checks nothing" >&2 && exit 1; }; } &&) \
	echo "check: all well"

format: $(LOCAL) ## Format code, strip outputs from notebooks
	@$(INSIDE_local) sh -c 'ruff format . && ruff check --fix . && nbstripout --keep-id notebooks/*.ipynb $(if $(GENERATED),&& $(GENERATED))'
