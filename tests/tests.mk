# Checks, tests and measurements: what CI runs, and what draws the pictures of the documents.

TAKES_test = V MARK
test: environment ## Run the tests; container tests where a Docker daemon answers. MARK=engine: what an engine may change
	@$(MAKE) test-$(ENGINE)

test-fast: $(LOCAL) ## Run the tests that start nothing: an answer within a minute
	@$(INSIDE_local) pytest -q -m fast $(PYTEST)

# How the cores share the tests is said in tests/conftest.py.
PYTEST = --numprocesses auto tests
.PHONY: test-local test-docker
test-local:
	@$(INSIDE_local) pytest $(if $(MARK),-m $(call quoted,$(MARK))) $(PYTEST)

# What the image has not (git, mounts, an engine) is tested beside it, in an environment of the machine's own.
test-docker: $(LOCAL)
	@$(INSIDE_docker) test -m $(call quoted,not host$(if $(MARK), and $(MARK))) $(PYTEST) $(if $(MARK),,&& \
	BASE_IMAGE=$(call quoted,$(BASE_IMAGE)) $(INSIDE_local) pytest -m host $(PYTEST))

test-forger: $(LOCAL) ## Cheat the policy and the verdict, as an author, a stranger and a notebook would
	@$(INSIDE_local) pytest -q -m forger tests

test-secrets: $(LOCAL) ## Plant secrets in every form and way out, and search all that is left for them
	@$(INSIDE_local) pytest -q -m secrets tests

TAKES_test-faults = TIMES
test-faults: $(LOCAL) ## Let each fault strike TIMES=50 times: kills, full disks, servers away; prints what was lost
	@FAULTS=$(call quoted,$(or $(TIMES),50)) FAULTS_TABLE=.samebook/faults.txt $(INSIDE_local) \
	pytest -q tests/test_faults.py tests/execution/warm/test_warm_faults.py tests/verbs/test_sweep.py; \
	code=$$?; cat .samebook/faults.txt; exit $$code

# A variable as an option of a program.
option = $(if $($(1)),--$(2) $(call quoted,$($(1))))
TAKES_season = DAYS
season: $(LOCAL) ## Replay DAYS=120 of real flights through the inbox, with faults planted; draws docs/season.png
	@rm -rf .samebook/season && $(INSIDE_local) python tests/season.py $(call option,DAYS,days) --folder .samebook/season --picture docs/season.png

TAKES_bench = REPEATS ONLY SUBJECTS PICTURE SLOW LIST
bench: $(LOCAL) ## Time us and the peers side by side: REPEATS=5 ONLY=trivial,cells PICTURE=docs/bench.png SLOW=1 LIST=1
	@$(INSIDE_local) python tests/benchmarks/bench.py $(call option,REPEATS,repeats) $(call option,ONLY,only) $(call option,SUBJECTS,subjects) \
	  $(call option,PICTURE,picture) $(if $(call on,SLOW),--slow) $(if $(call on,LIST),--list)

# RESULTS and AGAINST compare two machines, in the engine's own environment: another architecture is a container's.
TAKES_portability = ONLY INTO RESULTS AGAINST
ACROSS = $(if $(RESULTS)$(AGAINST),architectures)
portability: TARGETS = runtime
portability: $(if $(ACROSS),environment,$(LOCAL)) ## Which kinds of computation depend on processor or threads. ONLY=exp,svd; RESULTS=file on one machine, AGAINST=file on another
	@$(if $(and $(ACROSS),$(filter docker,$(ENGINE))),$(INSIDE_docker) -e PYTHONPATH=tests --entrypoint python run,$(INSIDE_local) PYTHONPATH=tests python) \
	  tests/benchmarks/$(or $(ACROSS),portability).py $(call option,ONLY,only) $(call option,INTO,into) $(call option,RESULTS,results) $(call option,AGAINST,against)

check: $(LOCAL) check-lock ## Lock, style, types, notebooks, Dockerfile: what CI checks before tests
	@$(INSIDE_local) sh -c 'ruff check --quiet . && ruff format --quiet --check . && pyrefly check --summary=none && \
	  nbstripout --keep-id --verify notebooks/*.ipynb && { [ "$$(uname)" != Linux ] || hadolint Dockerfile; }' && \
	{ ! $(INSIDE_local) pyrefly check tests/canary.py >/dev/null 2>&1 || { \
	  echo "error: the type checker passes tests/canary.py, which is wrong: it checks nothing" >&2 && exit 1; }; } && \
	echo "check: all well"

format: $(LOCAL) ## Format code, strip outputs from notebooks, write schemas and the generated reference
	@$(INSIDE_local) sh -c 'ruff format . && ruff check --fix . && nbstripout --keep-id notebooks/*.ipynb && \
	  mkdir -p environments/schemas && samebook settings --schema > environments/schemas/settings.json && samebook bundle schema > environments/schemas/bundle.json && samebook pipelines --schema > environments/schemas/pipeline.json && python docs/generate.py'
