# The API alone: no training package. Build it with `docker compose build api`; `make images` checks it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements.txt /src/
RUN python3.11 -m venv /opt/shelfops \
 && /opt/shelfops/bin/pip install --no-cache-dir --no-deps --requirement /src/requirements.txt
COPY pyproject.toml README.md dagster.yaml workspace.yaml /src/
COPY models/model_card_template.md /src/models/
COPY shelfops_pipeline /src/shelfops_pipeline
COPY shelfops_api /src/shelfops_api
RUN /opt/shelfops/bin/pip install --no-cache-dir --no-deps /src \
 && /opt/shelfops/bin/pip uninstall --quiet --yes setuptools pip

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shelfops \
 && install --directory --owner shelfops --group shelfops /var/lib/shelfops
COPY --from=build /opt/shelfops /opt/shelfops
ARG GIT_COMMIT=
ENV PATH=/opt/shelfops/bin:$PATH PYTHONUNBUFFERED=1 \
    SHELFOPS_HOME=/var/lib/shelfops SHELFOPS_API_MODE=production SHELFOPS_GIT_COMMIT=${GIT_COMMIT}
USER shelfops
WORKDIR /var/lib/shelfops
EXPOSE 8000
# Whoever watches alerts sends nothing larger, and compression would cost each stream buffers of its own.
CMD ["uvicorn", "shelfops_api.main:app", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", \
     "--ws-max-size", "65536", "--ws-per-message-deflate", "false"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
