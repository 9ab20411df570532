# Two images. `serve` answers photos over HTTP, `pipeline` runs a project that is mounted:
#   docker build --target serve --tag carbrand-serve .
#   docker build --target pipeline --tag carbrand-pipeline .
# docs/container.md says how to run them.
FROM python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7 AS environment
WORKDIR /carbrand
COPY pyproject.toml README.md LICENSE ./
COPY requirements/ requirements/
COPY carbrand/ carbrand/
COPY stages/ stages/
# From the locks, with hashes; then nobody can install anything with it.
RUN ["python", "-m", "carbrand.pipeline.virtual_environment", "cpu"]
RUN [".venv/bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", "pip"]

FROM python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7 AS runtime
RUN ["useradd", "--uid", "10001", "--create-home", "--shell", "/usr/sbin/nologin", "carbrand"]
COPY --from=environment /carbrand /carbrand
# The packages were compiled above, and the file system may be read-only.
ENV PATH=/carbrand/.venv/bin:$PATH DVC_NO_ANALYTICS=1 MPLCONFIGDIR=/tmp \
  PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001

FROM runtime AS pipeline
USER 0
RUN apt-get update \
  && apt-get install --yes --no-install-recommends git=1:2.39.* \
  && rm -rf /var/lib/apt/lists/*
USER 10001
# `make repro` without make; other commands (dvc, carbrand) are on the PATH.
WORKDIR /project
CMD ["python", "-m", "stages"]

FROM runtime AS serve
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["carbrand", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--model", "/model.h5"]
