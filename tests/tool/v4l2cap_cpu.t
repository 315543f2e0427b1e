#!/bin/sh
# What v4l2cap costs, in a virtual machine with nothing beside it.
exec "$(dirname "$0")/guest.t" v4l2cap-cpu
