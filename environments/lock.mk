# The lock, and the checks and tests: what CI runs.

# What environments/pyproject.toml asks for, by version and hash.
LOCKS   = runtime lab command build
# In samebook's own checkout it is no package of the lock.
COMPILE = ../$(UV) pip compile --quiet --universal --python-version $(PYTHON_VERSION) --generate-hashes --no-header --no-annotate --no-emit-index-url $(if $(wildcard scripts/samebook),--no-emit-package samebook)
# Each lock is made from the one before it: lab and command can't disagree with runtime.
define compile_into
export $(UV_WAYS) && cd environments && $(COMPILE) pyproject.toml $(2) -o $(1)/runtime.txt && \
$(COMPILE) pyproject.toml $(2) --group lab -c $(1)/runtime.txt -o $(1)/lab.txt && \
$(COMPILE) --group command -c $(1)/runtime.txt $(2) -o $(1)/command.txt && \
$(COMPILE) --group build $(2) -o $(1)/build.txt && cd ..
endef
# Beside the locks, this repository says which of their packages its projects don't have.
lock_all = $(call compile_into,.,$(1))$(if $(and $(left_out),$(wildcard $(PROJECTS))), && $(left_out))

# The lock of the server of the compose profile `mlflow`, which is in no environment here.
lock_mlflow = $(if $(wildcard environments/mlflow), && cd environments && echo mlflow | $(COMPILE) - $(1) -o mlflow/requirements.txt && cd ..)

# A lock that is as it was keeps its time: nothing that was made from it is made again.
unmoved = for lock in $(LOCKS:%=%.txt); do ! cmp -s "$$old/$$lock" "environments/$$lock" || touch -r "$$old/$$lock" "environments/$$lock"; done

TAKES_lock = UPGRADE
lock: $(UV) ## Lock what environments/pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && cp -p $(LOCKS:%=environments/%.txt) "$$old" && \
	{ { $(call lock_all,$(if $(call on,UPGRADE),--upgrade))$(call lock_mlflow,$(if $(call on,UPGRADE),--upgrade)); } || { echo "error: the lock could not be made" >&2 && $(PROXIES) && exit 2; }; } && \
	$(unmoved) && $(OF_SAMEBOOK).moved "$$old" environments$(if $(wildcard $(APT_LISTS)), && \
	{ $(if $(call on,UPGRADE),,$(call apt,check) 2>/dev/null ||) $(call apt,lock); })

# A module of samebook's command line that needs no package; a project has it in the wheel.
OF_SAMEBOOK = PYTHONPATH=$(call quoted,$(firstword $(wildcard scripts/*.whl) scripts)) $(UV_RUN) run --quiet --no-project --python $(PYTHON_VERSION) python -B -m samebook.cli
# Debian packages of the image: environments/apt.txt asks for them.
APT_LISTS = environments/apt.txt environments/apt.lock
apt = $(OF_SAMEBOOK).packages debian $(1) $(call quoted,$(BASE_IMAGE))

# uv edits the wish. A name that looks like a slip of the keys needs SURE=1: nobody knows what it holds. Where no versions fit together, or a package is nowhere, wish and locks stay as they were.
define wish
@[ -n "$$PACKAGE$$APT" ] || { echo "error: which package?" >&2 && echo "  -> make $@ PACKAGE=\"seaborn\"" >&2 && exit 2; }; \
$(if $(filter-out lab,$(GROUP)),echo error: GROUP=$(call quoted,$(GROUP))"; expected lab or none" >&2 && exit 2;) \
set -f && $(if $(filter add,$@),$(if $(call on,SURE),,{ [ -z "$$PACKAGE" ] || $(OF_SAMEBOOK).packages doubt $$PACKAGE || exit 2; } && \
))is_done= && old=$$(mktemp -d) && words=$$(mktemp) && cp -p environments/pyproject.toml $(LOCKS:%=environments/%.txt) "$$old" && \
trap '[ -n "$$is_done" ] || cp -Rp "$$old"/. environments/; rm -rf "$$old" "$$words"' EXIT && trap 'exit 130' INT TERM HUP PIPE && \
{ { { [ -z "$$PACKAGE" ] || { $(UV_RUN) $@ --quiet --frozen --project environments $(if $(GROUP),--group $(call quoted,$(GROUP))) -- $$PACKAGE && \
  ($(lock_all)) && \
  $(unmoved) && $(OF_SAMEBOOK).moved "$$old" environments $(UV); }; } && \
  { [ -z "$$APT" ] || $(call apt,$@) $$APT; }; } 2>"$$words" && is_done=1; cat "$$words" >&2; [ -n "$$is_done" ]; } || { \
  cp -Rp "$$old"/. environments/; $(OF_SAMEBOOK).packages refused "$$words" $$PACKAGE; $(call blamed,"$$words"); exit 2; }
endef

TAKES_add = PACKAGE GROUP APT SURE
add: $(UV) ## Add PACKAGE="seaborn lightgbm>=4" to the environment, and lock it; GROUP=lab: for Lab and tests; APT=graphviz: Debian's
	$(wish)

TAKES_remove = PACKAGE GROUP APT
remove: $(UV) ## Remove PACKAGE="seaborn" from the environment; GROUP=lab: from Lab and tests; APT=graphviz: Debian's
	$(wish)

.PHONY: check-lock
check-lock: $(UV)
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp $(LOCKS:%=environments/%.txt) "$$new" && \
	{ $(call compile_into,"$$new",) || { echo "error: the lock could not be checked" >&2 && $(PROXIES) && exit 2; }; } && \
	for lock in $(LOCKS); do \
	  diff -u environments/$$lock.txt "$$new/$$lock.txt" || { \
	  echo "error: environments/$$lock.txt is not what environments/pyproject.toml asks for" >&2 && echo "  -> make lock" >&2 && exit 5; }; done$(if $(wildcard $(APT_LISTS)), && \
	{ $(call apt,check) || { echo "  -> make lock" >&2 && exit 5; }; })

# Known holes, from the database of OSV or one of its kind. The tool is none of the lock: it comes when it is called, and
# is asked for the packages of the lock, by their names and versions alone.
OWN += audit
TAKES_audit = URL
AUDIT = $(UV_RUN) tool run --quiet pip-audit@2.10.1 --requirement environments/lab.txt --require-hashes --disable-pip --progress-spinner off \
        --vulnerability-service osv $(if $(URL),--osv-url $(call quoted,$(URL))) --format json
audit: $(UV) ## Known holes in the packages of the lock, and the command that mends each; URL=<where OSV's database answers>
	@found=$$(mktemp) words=$$(mktemp) && trap 'rm -f "$$found" "$$words"' EXIT && \
	{ { $(AUDIT) --output "$$found" 2>"$$words" || true; } && [ -s "$$found" ] || { tail -n 1 "$$words" >&2; \
	  echo "error: the packages could not be held against the advisory database; its own words are above" >&2; \
	  $(call blamed,"$$words"); echo "  -> make audit URL=https://…/v1/query, where it answers from here" >&2; exit 2; }; } && \
	$(OF_SAMEBOOK).packages holes "$$found"

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

# What a stranger may make a job of the forge do: https://docs.zizmor.sh
WORKFLOWS = { $(UV) tool run --quiet zizmor@1.32.0 --offline --quiet --no-progress .github >.samebook/zizmor 2>&1 || { \
	  cat .samebook/zizmor >&2 && echo "error: zizmor objects to a job of .github/, or can't be had; its own words are above" >&2 && exit 1; }; }
check: $(LOCAL) check-lock ## Lock, style, types, notebooks, Dockerfile: what CI checks before tests
	@$(INSIDE_local) sh -c 'unset VIRTUAL_ENV && ruff check --quiet . && ruff format --quiet --check . && pyrefly check --summary=none $(if $(wildcard pyproject.toml),,--config scripts/pyproject.toml) && \
	  nbstripout --keep-id --verify notebooks/*.ipynb && samebook lint notebooks && { [ "$$(uname)" != Linux ] || hadolint Dockerfile; }' && \
	$(if $(CANARY),{ ! $(INSIDE_local) pyrefly check $(CANARY) >/dev/null 2>&1 || { \
	  echo "error: the type checker finds nothing in $(CANARY): it checks nothing" >&2 && exit 1; }; } &&) \
	$(if $(wildcard .github/workflows),$(WORKFLOWS) &&) \
	echo "check: all well"

# For editors, as JSON Schema: what settings, pipelines, inputs and models may say.
SCHEMAS = .samebook/schemas
$(SCHEMAS): $(LOCAL)
	@rm -rf $@ $@.new && mkdir -p $@.new && $(INSIDE_local) sh -c 'samebook settings --schema >$@.new/settings.json && \
	  samebook pipelines --schema >$@.new/pipeline.json && samebook fetch --schema >$@.new/inputs.json && samebook bundle schema >$@.new/bundle.json' && mv $@.new $@
check format lab-local kernel: $(SCHEMAS)

format: $(LOCAL) ## Format code, strip outputs from notebooks
	@$(INSIDE_local) sh -c 'ruff format . && ruff check --fix . && nbstripout --keep-id notebooks/*.ipynb $(if $(GENERATED),&& $(GENERATED))'
