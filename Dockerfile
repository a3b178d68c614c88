# The image of the DaemonSet in conf/kubernetes: the executable and the launcher, which it runs and installs on nodes.
#
#     docker build --build-arg VERSION=0.1.0 --tag weft:0.1.0 .
#
# Both stages are of one Debian: the launcher is static, and the executable wants the C library it was linked with or a newer one.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates npm gcc libc6-dev musl-tools libatomic1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# No package's install script is needed, and none is run.
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY . .
# With the Node that npm has installed: Debian's own only had to run npm.
RUN set -eu; \
    node=$(echo node_modules/node-linux-*/bin/node); \
    "$node" scripts/build.ts; \
    "$node" scripts/build-launcher.ts

FROM ${BASE}
# The executable is linked with these two; it calls no program.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libatomic1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/dist/weft /usr/local/bin/weft
COPY --from=build /src/dist/cni/weft /opt/cni/bin/weft
COPY LICENSE /usr/share/doc/weft/LICENSE
# Fails here, and not on a node, where a library is missing.
RUN ["/usr/local/bin/weft", "--version"]
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="weft" \
      org.opencontainers.image.description="CNI plugin and node daemon: one VXLAN overlay network for each tenant" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
ENTRYPOINT ["/usr/local/bin/weft"]
CMD ["daemon"]
