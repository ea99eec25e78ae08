# Tests and measurements of samebook itself, and what draws the pictures of its documents.

OWN += test-fast test-forger test-secrets test-long test-faults season bench bench-scale portability

# How the cores share the tests is said in tests/conftest.py.
PYTEST = --numprocesses auto tests
HOST   = host
CANARY = tests/canary.py
# The image has no git, mounts nothing and starts no container: in an environment of the machine's own.
test-docker: $(LOCAL)

format: GENERATED = python docs/generate.py

test-fast: $(LOCAL) ## Run the tests that start nothing: an answer within a minute
	@$(INSIDE_local) pytest -q -m fast $(PYTEST)

test-forger: $(LOCAL) ## Cheat the policy and the verdict, as an author, a stranger and a notebook would
	@$(INSIDE_local) pytest -q -m forger $(PYTEST)

test-secrets: $(LOCAL) ## Plant secrets in every form and way out, and search all that is left for them
	@$(INSIDE_local) pytest -q -m secrets $(PYTEST)

test-long: $(LOCAL) ## Play what takes many minutes, on the real engine: a season, a team's whole way with a model, images made from nothing
	@$(INSIDE_local) pytest -v -m long $(PYTEST)

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

TAKES_bench = REPEATS ONLY SUBJECTS LOAD SLOW LIST
bench: $(LOCAL) ## Time us and the peers side by side: REPEATS=5 ONLY=trivial,cells LOAD=2 SLOW=1 LIST=1
	@$(INSIDE_local) python tests/benchmarks/bench.py $(call option,REPEATS,repeats) $(call option,ONLY,only) $(call option,SUBJECTS,subjects) \
	  $(call option,LOAD,load) $(if $(call on,SLOW),--slow) $(if $(call on,LIST),--list)

TAKES_bench-scale = SIZES RUNS PICTURE MEMORY TREES PARTS WORKERS
bench-scale: $(LOCAL) ## Time and memory as rows and runs grow, and their slopes: SIZES=1000000,10000000 RUNS=10,100 PICTURE=docs/scale.png; MEMORY=2g TREES=100 PARTS=100: train in a container; MEMORY=2g WORKERS=1,2,4: in a cluster
	@$(INSIDE_local) python tests/benchmarks/$(if $(filter MEMORY,$(GIVEN)),scale_container.py $(call option,MEMORY,memory) $(call option,TREES,trees) $(call option,PARTS,parts) $(call option,WORKERS,workers),scale.py \
	  $(call option,RUNS,runs) $(call option,PICTURE,picture)) $(call option,SIZES,sizes)

# RESULTS and AGAINST compare two machines, in the engine's own environment: another architecture is a container's.
TAKES_portability = ONLY INTO RESULTS AGAINST
ACROSS = $(if $(RESULTS)$(AGAINST),architectures)
portability: TARGETS = runtime
portability: $(if $(ACROSS),environment,$(LOCAL)) ## Which kinds of computation depend on processor or threads. ONLY=exp,svd; RESULTS=file on one machine, AGAINST=file on another
	@$(if $(and $(ACROSS),$(filter docker,$(ENGINE))),$(INSIDE_docker) -e PYTHONPATH=tests --entrypoint python run,$(INSIDE_local) PYTHONPATH=tests python) \
	  tests/benchmarks/$(or $(ACROSS),portability).py $(call option,ONLY,only) $(call option,INTO,into) $(call option,RESULTS,results) $(call option,AGAINST,against)
