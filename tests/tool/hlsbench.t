#!/bin/sh
# What HLS segments cost, beside nginx.
cd "$(dirname "$0")/../.." || exit 1
exec tests/bench/hls --check --short
