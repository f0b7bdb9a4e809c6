# ptero-backupd as an image: docs/container.md says how it is run. Built from this checkout:
#
#   docker build --tag ptero-backupd .
#   docker build --tag ptero-backupd --build-arg EXTRAS=[sftp] .     with what SFTP needs, and nothing else but the core
#
#   docker build --tag ptero-backupd --build-arg BASE=python:3.13-slim-trixie@sha256:… .     on that very base
#
# scripts/check-container builds and runs it where there is no container engine.

# A tag is moved to each new build of the base; docs/container.md says how to hold it to one.
ARG BASE=python:3.13-slim-trixie

# First stage: the virtual environment, of the very files that container/requirements.txt names by their hashes, the
# build backend among them. Only what was checked so is installed.
FROM ${BASE} AS build
ARG EXTRAS=[all]
WORKDIR /source
COPY container/requirements.txt ./container/
RUN python -m pip --no-cache-dir --disable-pip-version-check download --require-hashes --no-deps \
    --only-binary=:all: --dest /wheels --requirement container/requirements.txt
COPY constraints.txt ./
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY daemon ./daemon
RUN python -m venv --without-pip /opt/ptero-backupd
RUN python -m pip --python /opt/ptero-backupd/bin/python --no-cache-dir --disable-pip-version-check \
    install --no-index --find-links /wheels --constraint constraints.txt ".${EXTRAS}"
COPY container/healthcheck.py /opt/ptero-backupd/share/healthcheck.py

# Second stage: what runs. Neither pip's cache nor the source is in it.
FROM ${BASE}
LABEL org.opencontainers.image.title="ptero-backupd" \
    org.opencontainers.image.description="Rotates game-server backups on Pterodactyl and Pelican panels" \
    org.opencontainers.image.licenses="MIT"

# Where a volume may be mounted; one that an engine makes there gets this owner.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/ptero-backupd
COPY --from=build /opt/ptero-backupd /opt/ptero-backupd

# No volume is needed, so no state is kept unless the operator names a folder. The daemon answers HTTP to its own
# container alone, which is what the health check asks. Both are the operator's to change.
ENV PATH=/opt/ptero-backupd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PTERO_BACKUPD_STATE_DIR=none \
    PTERO_BACKUPD_HTTP__LISTEN=127.0.0.1:9180

# By number, so that an engine that refuses root can see that it is none.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "/opt/ptero-backupd/share/healthcheck.py"]
ENTRYPOINT ["ptero-backupd"]
CMD ["run", "--log-to-stdout"]
