# clusterdns with CoreDNS's arguments: user 65532, read-only root, nothing compiled.
# Any image with Python 3.11 or newer does as BASE; only wheels are installed.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
# --copies: the interpreter that gets the capability below is ours alone.
RUN python3 -m venv --copies /opt/clusterdns
COPY pyproject.toml README.md LICENSE ./
COPY clusterdns ./clusterdns
RUN /opt/clusterdns/bin/pip install --no-cache-dir --only-binary :all: 'setuptools>=77' wheel \
 && /opt/clusterdns/bin/pip wheel --no-cache-dir --no-build-isolation --no-deps -w /tmp . \
 && /opt/clusterdns/bin/pip install --no-cache-dir --only-binary :all: /tmp/clusterdns-*.whl \
 && /opt/clusterdns/bin/pip uninstall -y setuptools wheel pip
# The root file system is read-only when it runs, so what is compiled is compiled here. Templates of
# libraries that are no Python are passed over.
RUN /opt/clusterdns/bin/python -m compileall -q /opt/clusterdns/lib || true

FROM ${BASE}
COPY --from=build /opt/clusterdns /opt/clusterdns
# Port 53. A process that is not root may bind it only with CAP_NET_BIND_SERVICE, and container
# runtimes hand that to a non-root process through the file it executes, no other way. So our copy of
# the interpreter carries it as CoreDNS's binary does, but as *permitted* only (+p, not +ep): the
# kernel refuses to start an "effective" file where the pod was not granted the capability,
# while this one starts without it, and can still serve ports from 1024 on. The server raises it by
# itself when it binds. The attribute is struct vfs_cap_data, version 2, bit 10.
RUN /opt/clusterdns/bin/python -c 'import os, struct; os.setxattr("/opt/clusterdns/bin/python3", "security.capability", struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0))'
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /
EXPOSE 53/udp 53/tcp 9153/tcp 8080/tcp 8181/tcp
USER 65532:65532
ENTRYPOINT ["/opt/clusterdns/bin/clusterdns"]
