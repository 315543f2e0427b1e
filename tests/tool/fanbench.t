#!/bin/sh
# The bars on what viewers cost and on how late a server is, measured in about a minute.
cd "$(dirname "$0")/../.." || exit 1
exec tests/bench/fan --check --short
