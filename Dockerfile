# Two stages: a build with everything, and an image with one binary, certificates and an empty /data.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --bin evalboard

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin evalboard \
    && install -d -o evalboard -g evalboard -m 0700 /data
COPY --from=build /src/target/dist/evalboard /usr/local/bin/evalboard
USER evalboard
ENV EVALBOARD_DATA_DIR=/data EVALBOARD_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD ["curl", "-fsS", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["evalboard"]
CMD ["serve"]
