# One file, two programs: `--target trainer` and `--target server` (the last, so the default).
#   docker build .                                the service
#   docker build --target trainer .               the trainer
#   docker build --build-arg EXTRAS=gpu .         with faiss-gpu in place of faiss-cpu
# On x86-64 the plain torch wheel carries CUDA, which is most of the image. An index that has the CPU wheel
# of the pinned release makes it small: --build-arg PIP_EXTRA_INDEX_URL=… (pip prefers +cpu).
ARG PYTHON=3.11

# What is to be installed, by program. Apart from the rest, so that only another wish installs again, not
# every change of pyproject.toml.
FROM python:${PYTHON}-slim AS wanted
ARG EXTRAS=cpu
COPY pyproject.toml /
RUN python -c "import tomllib; \
    project = tomllib.load(open('/pyproject.toml', 'rb'))['project']; \
    extras = project['optional-dependencies']; \
    open('/both.txt', 'w').write('\n'.join(project['dependencies'] + extras['${EXTRAS}'])); \
    open('/trainer.txt', 'w').write('\n'.join(extras['training']))"

# Layers by how seldom they change: torch, the other libraries, what is ours.
FROM python:${PYTHON}-slim AS libraries
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# A number, not a name: Kubernetes can only verify runAsNonRoot of a number.
RUN groupadd --gid 10001 reco \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp reco \
    && install -d -o 10001 -g 10001 /bundles /events /data /nights /metrics /secrets /keys
WORKDIR /app
COPY constraints.txt ./
RUN pip install -c constraints.txt torch numpy
COPY --from=wanted /both.txt ./
RUN pip install -c constraints.txt -r both.txt
ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

FROM libraries AS trainer
COPY --from=wanted /trainer.txt ./
RUN pip install -c constraints.txt -r trainer.txt
COPY models ./models
COPY eventlog ./eventlog
COPY training ./training
RUN python -m compileall -q .
USER 10001:10001
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="metammf-trainer" \
    org.opencontainers.image.description="Trains MetaMMF and exports bundles" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]

FROM libraries AS server
COPY models ./models
COPY eventlog ./eventlog
COPY service ./service
RUN python -m compileall -q .
USER 10001:10001
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="metammf-server" \
    org.opencontainers.image.description="Recommends micro-videos from a bundle and an event log" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
ENV RECO_HOST=0.0.0.0 \
    RECO_PORT=8000 \
    RECO_BUNDLES=/bundles \
    RECO_EVENT_LOG=sqlite:////events/events.db \
    RECO_LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['RECO_PORT']), timeout=2); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve"]
