# Everything that trains: Celery workers, and Dagster's code server, daemon and webserver. `make images` checks it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements-ml.txt /src/
# The same pins, in the builds without CUDA: 1.5 GB less to download, and the same modules to import.
RUN python3.11 -m venv /opt/shelfops \
 && sed --regexp-extended -e 's/^(tensorflow|xgboost)==/\1-cpu==/' -e '/^nvidia-/d' /src/requirements-ml.txt \
    > /src/requirements-ml-cpu.txt \
 && /opt/shelfops/bin/pip install --no-cache-dir --no-deps --requirement /src/requirements-ml-cpu.txt
COPY pyproject.toml README.md dagster.yaml workspace.yaml /src/
COPY models/model_card_template.md /src/models/
COPY shelfops_pipeline /src/shelfops_pipeline
COPY shelfops_api /src/shelfops_api
RUN /opt/shelfops/bin/pip install --no-cache-dir --no-deps /src \
 && /opt/shelfops/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
# Chromium draws the PNG and PDF charts (Kaleido).
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shelfops \
 && install --directory --owner shelfops --group shelfops /var/lib/shelfops
COPY --from=build /opt/shelfops /opt/shelfops
ARG GIT_COMMIT=
ENV PATH=/opt/shelfops/bin:$PATH PYTHONUNBUFFERED=1 \
    SHELFOPS_HOME=/var/lib/shelfops SHELFOPS_GIT_COMMIT=${GIT_COMMIT} DAGSTER_HOME=/var/lib/shelfops/dagster
USER shelfops
WORKDIR /var/lib/shelfops
CMD ["celery", "--app", "shelfops_pipeline.defs.worker", "worker", "--queues", "ml", "--hostname", "ml@%h"]
# Asks the worker of this container; where something else runs, compose asks that.
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
    CMD CELERY_BROKER_URL="$SHELFOPS_CELERY_BROKER_URL" celery inspect ping --destination "ml@$(hostname)" --timeout 10
