# The lock: what environments/pyproject.toml asks for, by version and hash.

LOCKS   = runtime lab command build
COMPILE = ../$(UV) pip compile --quiet --universal --python-version $(PYTHON_VERSION) --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package samebook
# Each lock is made from the one before it: lab and command can't disagree with runtime.
define compile_into
export UV_SYSTEM_CERTS=1 && cd environments && $(COMPILE) pyproject.toml $(2) -o $(1)/runtime.txt && \
$(COMPILE) pyproject.toml $(2) --group lab -c $(1)/runtime.txt -o $(1)/lab.txt && \
$(COMPILE) --group command -c $(1)/runtime.txt $(2) -o $(1)/command.txt && \
$(COMPILE) --group build $(2) -o $(1)/build.txt && cd ..
endef

TAKES_lock = UPGRADE
lock: $(UV) ## Lock what environments/pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && cp $(LOCKS:%=environments/%.txt) "$$old" && \
	{ $(call compile_into,.,$(if $(call on,UPGRADE),--upgrade)) || { echo "error: the lock could not be made" >&2 && $(PROXIES) && exit 2; }; } && \
	$(UV_RUN) run --quiet --no-project --python $(PYTHON_VERSION) environments/moved "$$old" environments

.PHONY: check-lock
check-lock: $(UV)
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp $(LOCKS:%=environments/%.txt) "$$new" && \
	{ $(call compile_into,"$$new",) || { echo "error: the lock could not be checked" >&2 && $(PROXIES) && exit 2; }; } && \
	for lock in $(LOCKS); do \
	  diff -u environments/$$lock.txt "$$new/$$lock.txt" || { \
	  echo "error: environments/$$lock.txt is not what environments/pyproject.toml asks for" >&2 && echo "  -> make lock" >&2 && exit 5; }; done
