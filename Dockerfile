# One image, two targets. `runtime` is production; `lab` is runtime plus a layer, so what works in Lab works headless.
# No `# syntax=` line: it would pull an image, and this must build where no registry can be reached.
# The base by digest, so that a tag that moves can't change a result; `make base` builds one without a registry.
ARG BASE_IMAGE=python:3.13.14-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6

# `system` where environments/apt.lock names Debian packages, as make says; else it costs no layer.
ARG SYSTEM=base

# Named, because a bot that bumps digests and every stage below look here.
FROM ${BASE_IMAGE} AS base

# --- system: Debian packages, by hash ----------------------------------------------------------------------------
FROM base AS system
# A Debian archive of one's own; unset, those of the base's apt.
ARG DEBIAN_MIRROR
RUN --mount=type=secret,id=ca --mount=type=bind,source=environments/image,target=/build/environments/image \
    --mount=type=bind,source=environments/apt.lock,target=/build/environments/apt.lock \
    /build/environments/image/install system

# --- environment: the packages; of these stages nothing else reaches an image ------------------------------------
FROM base AS parts
# Only what decides which packages there are, so that editing a notebook or a setting doesn't install them again.
COPY --chmod=755 environments/image scripts/sameboo[k]/image /build/environments/image/
COPY --chmod=755 environments/*.txt scripts/*.whl /build/environments/
RUN /build/environments/image/install parts

FROM ${SYSTEM} AS tools
# A package index of one's own, for those who have one; unset, the tools' default.
ARG PIP_INDEX_URL
# The same for uv.
ARG UV_DEFAULT_INDEX
# Copies instead of links, since the cache is another file system; uv must not fetch a Python: the base has it.
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/samebook PATH=/opt/samebook/bin:$PATH
# Copies of the same bytes are the same to the cache, whatever else the locks or a wheel say.
COPY --from=parts /parts/image /build/environments/image/
COPY --from=parts /parts/build.txt /build/environments/
# The secret is a CA bundle, for a proxy that inspects TLS: read while building, in no layer. Caches stay outside too.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    /build/environments/image/install uv

# For the environments of the machine itself.
FROM scratch AS uv
COPY --from=tools /opt/uv/bin/uv /

FROM tools AS packages
COPY --from=parts /parts/runtime.txt /build/environments/
COPY --from=parts /parts/wheels /build/environments/wheels/
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    /build/environments/image/install runtime

FROM packages AS environment
COPY --from=parts /parts/own /build/environments/
# What the runner needs to be found: its name and its commands, not its code.
COPY --chmod=755 scripts/pyproject.toml /workspace/scripts/
RUN --mount=type=bind,from=packages,source=/opt/samebook,target=/packages \
    /build/environments/image/install own

# Made beside runtime's, at the same time and the same path; its lock is constrained by runtime's, so no version differs.
FROM tools AS lab-environment
COPY --from=parts /parts/lab.txt /build/environments/
COPY --from=parts /parts/wheels /build/environments/wheels/
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    /build/environments/image/install lab
RUN --mount=type=bind,from=packages,source=/opt/samebook,target=/packages \
    /build/environments/image/install additions

# --- runtime: production ---------------------------------------------------------------------------------------
FROM ${SYSTEM} AS runtime
# The largest layer, and the one that changes least: all projects of the same packages share it.
COPY --from=packages /opt/samebook /opt/samebook
COPY --from=environment /own /opt/samebook
# Any UID works, also one without a passwd entry and on a read-only root: whatever writes finds a place under /tmp.
ENV PATH=/opt/samebook/bin:$PATH HOME=/tmp USER=samebook LOGNAME=samebook \
    IPYTHONDIR=/tmp/ipython JUPYTER_RUNTIME_DIR=/tmp/jupyter JUPYTER_CONFIG_DIR=/tmp/jupyter/config MPLCONFIGDIR=/tmp/matplotlib
# Lab's kernels have the numerics of runs.
ENV JUPYTER_DEFAULT_PROVISIONER_NAME=samebook
# Bytecode is compiled already, and beside a mounted notebook nobody wants any.
ENV PYTHONDONTWRITEBYTECODE=1
# Notebooks, data and runs are found from here.
WORKDIR /workspace
# Where a run without a checkout writes; any UID may, as in /tmp. Volumes are mounted over them.
RUN mkdir -m 1777 runs store data && mkdir models
# Modes are fixed, since a checkout's depend on its owner's umask and the digest must not.
COPY --chmod=755 .python-version ./
COPY --chmod=755 environments environments
COPY --chmod=755 model[s] models/
COPY --chmod=755 scripts scripts
COPY --chmod=755 notebooks notebooks
# What the commit's files are, for the receipt: over them anything may be mounted.
RUN environments/image/install listing > /opt/samebook/commit.sha256
# Facts for the receipt: an image has no git. Last, since they differ for every commit.
ARG BASE_IMAGE
ARG GIT_COMMIT=
ENV SAMEBOOK_ENGINE=docker SAMEBOOK_BASE_IMAGE=${BASE_IMAGE} SAMEBOOK_COMMIT=${GIT_COMMIT}
# Not root. Compose gives the caller's UID instead.
USER 1000:1000
# The image is its runner: docker run IMAGE run train -p max_depth=4
ENTRYPOINT ["samebook"]
CMD ["--help"]

# --- lab: to develop in ------------------------------------------------------------------------------------------
FROM runtime AS lab
# One layer, only of files that runtime lacks; linked, so that it is made once and not again after a notebook's edit.
COPY --link --from=lab-environment /lab /opt/samebook
