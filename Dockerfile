# avaload as an image: docs/image.md shows it in use, `make image-test` runs these steps without a container engine.
# A base is pinned by its digest: --build-arg BASE_DIGEST=sha256:…
ARG BASE_DIGEST
FROM python:3.13-slim-trixie${BASE_DIGEST:+@$BASE_DIGEST} AS base

FROM base AS build
# Extras of pyproject.toml, with a blank between: --build-arg EXTRAS="daily parquet"
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY requirements*.lock ./
RUN set -- -r requirements.lock; \
    for extra in $EXTRAS; do set -- "$@" -r "requirements-$extra.lock"; done; \
    python -m venv /opt/avaload && /opt/avaload/bin/pip install --require-hashes "$@"
COPY . .
RUN /opt/avaload/bin/pip install --no-deps --no-build-isolation .

FROM base
# Without a version: a mirror of Debian keeps the newest alone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 avaload \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin avaload \
    && install --directory --owner avaload --group avaload /runs
COPY --from=build /opt/avaload /opt/avaload
# The root file system may be read-only: what is temporary goes into the volume, too.
ENV PATH=/opt/avaload/bin:$PATH TMPDIR=/runs
# By number: Kubernetes then sees that it isn't root.
USER 10001:10001
# Runs go into runs/, and a scenario's path means the same outside, where `runs` is mounted.
WORKDIR /
VOLUME /runs
# tini passes SIGTERM on: a run then deletes its sessions and writes its report.
ENTRYPOINT ["tini", "--", "avaload"]
CMD ["run"]
