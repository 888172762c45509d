# One file, two programs: `--target trainer` and `--target server` (the last, so the default).
#   docker build .                                the service
#   docker build --target trainer .               the trainer
#   docker build --build-arg EXTRAS=gpu .         with faiss-gpu in place of faiss-cpu
# On x86-64 the plain torch wheel carries CUDA and makes an image of 5.6 GB. With an index that has the
# CPU wheel of the pinned release it is 1.6 GB: --build-arg PIP_EXTRA_INDEX_URL=… (pip prefers +cpu).
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=cpu
ARG PIP_EXTRA_INDEX_URL=
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# The largest wheel first and pinned: it stays in the layer cache while the rest changes.
COPY constraints.txt ./
RUN pip install -c constraints.txt torch numpy
COPY pyproject.toml README.md ./
COPY models ./models
COPY eventlog ./eventlog
COPY training ./training
COPY service ./service
RUN pip install -c constraints.txt ".[${EXTRAS}]"

FROM python:${PYTHON}-slim AS runtime
# A number, not a name: Kubernetes can only verify runAsNonRoot of a number.
RUN groupadd --gid 10001 reco \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp reco \
    && install -d -o 10001 -g 10001 /bundles /events /data /nights /metrics /secrets
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001

FROM runtime AS trainer
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="metammf-trainer" \
    org.opencontainers.image.description="Trains MetaMMF and exports bundles" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]

FROM runtime AS server
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
