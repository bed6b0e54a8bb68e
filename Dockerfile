# Three images, each with the rooms that it needs and no more:
#
#   sidecar  the process beside a bot: no code of the store, no key
#   bot      an example of a bot: no driver of any server, no key
#   store    command line, migrations, relay: the writer's side; keys and addresses come as files when it runs
#
#   docker build --target sidecar --tag trimtab-sidecar:0.1.0 .
#
# Every library comes from requirements.lock, with its hashes checked and from wheels alone. No image has pip in the
# Python that runs, every one runs as a user that is not root, and works on a root file system that is read-only.

ARG PYTHON=python:3.13.14-slim-trixie

# -- libraries: one stage for each image, so that building one builds no other ------------------------------------------

FROM ${PYTHON} AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock deploy/images/pick.py ./
RUN python -m venv --without-pip /opt/trimtab

FROM libraries AS sidecar-libraries
COPY deploy/images/sidecar.libraries ./wanted
RUN python pick.py wanted requirements.lock > wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python install --no-deps --require-hashes --only-binary :all: -r wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python check
COPY agent/trimtab /opt/trimtab/rooms/trimtab
COPY sidecar/trimtab_sidecar /opt/trimtab/rooms/trimtab_sidecar
RUN /opt/trimtab/bin/python -m compileall -q /opt/trimtab/rooms

FROM libraries AS bot-libraries
COPY deploy/images/bot.libraries ./wanted
RUN python pick.py wanted requirements.lock > wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python install --no-deps --require-hashes --only-binary :all: -r wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python check
COPY agent/trimtab /opt/trimtab/rooms/trimtab
COPY deploy/bot/bot.py /opt/trimtab/bot.py
RUN /opt/trimtab/bin/python -m compileall -q /opt/trimtab/rooms

FROM libraries AS store-libraries
COPY deploy/images/store.libraries ./wanted
RUN python pick.py wanted requirements.lock > wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python install --no-deps --require-hashes --only-binary :all: -r wanted.lock \
    && python -m pip --python /opt/trimtab/bin/python check
COPY agent/trimtab /opt/trimtab/rooms/trimtab
COPY store/trimtab_store /opt/trimtab/rooms/trimtab_store
COPY migrations /opt/trimtab/rooms/trimtab_store/migrations
RUN /opt/trimtab/bin/python -m compileall -q /opt/trimtab/rooms

# -- what runs ----------------------------------------------------------------------------------------------------------

FROM ${PYTHON} AS runtime
# 10001 follows and shares, 10002 is a bot: it reads as a member of the group, and can write nothing of the sidecar's.
# /var/lib/trimtab is what a new volume takes its rights from, whichever user the container is given.
RUN groupadd --gid 10000 trimtab \
    && useradd --uid 10001 --gid 10000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trimtab \
    && useradd --uid 10002 --gid 10000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin bot \
    && install --directory --mode 1777 /var/lib/trimtab
ENV PATH=/opt/trimtab/bin:$PATH \
    PYTHONPATH=/opt/trimtab/rooms \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/trimtab

FROM runtime AS bot
COPY --from=bot-libraries /opt/trimtab /opt/trimtab
USER 10002:10000
ENTRYPOINT ["python", "/opt/trimtab/bot.py"]

FROM runtime AS sidecar
COPY --from=sidecar-libraries /opt/trimtab /opt/trimtab
USER 10001:10000
ENTRYPOINT ["python", "-m", "trimtab_sidecar"]

FROM runtime AS store
COPY --from=store-libraries /opt/trimtab /opt/trimtab
USER 10001:10000
ENTRYPOINT ["python", "-m", "trimtab_store"]
CMD ["--help"]
