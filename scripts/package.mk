# The package of samebook, and projects that are made with it.

OWN += wheel

# From the commit, whatever the checkout holds; the wheel's version names it.
TAKES_wheel = DIST
wheel: $(UV) ## Build samebook as a wheel into dist/, the same bytes for the same commit
	@commit=$(COMMIT) && source=$$(mktemp -d) && trap 'rm -rf "$$source"' EXIT && umask 022 && \
	{ $(GIT) archive HEAD:./scripts | tar xf - -C "$$source" && $(GIT) archive HEAD LICENSE | tar xf - -C "$$source"; } && \
	$(GIT) show HEAD:./scripts/pyproject.toml | sed "s/^\(version = \"[^\"]*\)/\1+g$$(echo "$$commit" | cut -c1-12)/" >"$$source/pyproject.toml" && \
	$(UV_RUN) build --quiet --wheel --no-create-gitignore --out-dir $(call quoted,$(DIST)) "$$source" && \
	wheel=$$(ls -t $(call quoted,$(DIST))/samebook-*.whl | head -1) && echo "$$wheel sha256:$$({ sha256sum "$$wheel" 2>/dev/null || shasum -a 256 "$$wheel"; } | cut -c1-64)"
