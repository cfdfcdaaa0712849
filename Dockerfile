# The image of tencent-live-exporter: the program, the libraries it is linked to, and nothing else; no shell, no package
# manager. It runs as user 65532, and a read-only root and 64 MiB are enough for it. deploy/README.md says how to run it.
#
#   docker build --build-arg REVISION="$(git rev-parse --short HEAD)" -t tencent-live-exporter .
#
# Nothing here names an architecture: it makes an image for the platform that it is built for.

# Bookworm, so that libraries and program are of one Debian; 1.91 is the oldest Rust that compiles it.
ARG RUST_IMAGE=rust:1-bookworm

FROM ${RUST_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build

# The dependencies have a layer of their own, which stays as long as these two files do. Instead of the sources there is a
# program that does nothing; tests, benches and examples are taken out, as their files are not here.
COPY Cargo.toml Cargo.lock ./
RUN awk 'BEGIN { RS = ""; ORS = "\n\n" } !/(^|\n)\[\[(test|bench|example)\]\]/' Cargo.toml >kept.toml \
    && mv kept.toml Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' >src/main.rs \
    && : >src/lib.rs \
    && cargo build --release --locked \
    && rm -r src

# The revision comes from outside, as there is no repository in here.
ARG REVISION=unknown
COPY build.rs ./
COPY src src
# Files keep their times when they are copied, and cargo takes older ones for what it has already built.
RUN touch src/main.rs src/lib.rs \
    && BUILD_REVISION="$REVISION" cargo build --release --locked --bin tencent-live-exporter

# What the image holds: the program; the loader and the libraries it names, at their own paths; their licences; what
# scanners look for to know the versions; names for the user; /tmp for `demo`; and the state folder, for nobody else to read.
COPY LICENSE ./
RUN program=target/release/tencent-live-exporter \
    && mkdir -p image/etc image/usr/bin image/usr/share/doc/tencent-live-exporter image/var/lib/dpkg/status.d state/data \
    && install -m 0755 "$program" image/usr/bin/ \
    && cp LICENSE image/usr/share/doc/tencent-live-exporter/copyright \
    && ldd "$program" | grep -oE '/[^ ]+' | sort -u >libraries \
    && xargs -a libraries cp --parents --dereference -t image \
    && xargs -a libraries realpath | sed 's|^/usr/|/|' | sort -u | sed 'p;s|^/|/usr/|' \
        | { xargs dpkg-query --search 2>/dev/null || true; } | cut -d: -f1 | sort -u >packages \
    && test -s packages \
    && while read -r package; do \
        dpkg-query --status "$package" >"image/var/lib/dpkg/status.d/$package" \
        && cp --parents --dereference "/usr/share/doc/$package/copyright" image; \
    done <packages \
    && cp --dereference /etc/os-release image/etc/os-release \
    && echo 'nonroot:x:65532:65532:nonroot:/data:/sbin/nologin' >image/etc/passwd \
    && echo 'nonroot:x:65532:' >image/etc/group \
    && echo 'hosts: files dns' >image/etc/nsswitch.conf \
    && install -d -m 1777 image/tmp \
    && chmod 0700 state/data

FROM scratch
COPY --from=build /build/image /
# The chown is for what is copied, so the folder comes inside another.
COPY --from=build --chown=65532:65532 /build/state /

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tencent-live-exporter" \
    org.opencontainers.image.description="Prometheus exporter for stream disconnects of Tencent Cloud Live (云直播断流记录)" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

USER 65532:65532
# `state.path` is the folder `data` where the program starts unless it is set.
WORKDIR /
VOLUME ["/data"]
EXPOSE 19267
STOPSIGNAL SIGTERM
# It reads the configuration from variables; where flags change address, TLS or config file, give it the same flags.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["/usr/bin/tencent-live-exporter", "healthcheck"]
ENTRYPOINT ["/usr/bin/tencent-live-exporter"]
