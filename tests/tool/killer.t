#!/usr/bin/env python3
"""The appliance under a killer: every three seconds a random process of it dies, whatever it was just doing. How long the
pictures stay away, and what is left behind.

KILLER_SECONDS: how long (default 20). SEED: of the order.
"""
import os
import random
import signal
import subprocess
import sys
import time

from appliance import Appliance, Viewer, longest, name_of
from live import SLOW, finish, free_port, ok, run_all, wait_for

SECONDS = float(os.environ.get("KILLER_SECONDS", "20"))
SEED = int(os.environ.get("SEED", "1"))
EVERY = 3
WEB = ("fanout", "s6-svscan", "s6-supervise web")  # with these, connections end
TLS = ("stunnel", "s6-supervise tls")


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def answers(a, port):
    return subprocess.run(["curl", "-skfm2", "-o", os.devnull, f"https://127.0.0.1:{port}/status.json"], check=False).returncode == 0


def zombies():
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if (name_of(pid) or "").startswith("zombie")]


def kill(a, v, name, when, https):
    """How long it took until all was as before for who needs that process."""
    if name in WEB:
        pid = a.pid("fanout")
        wait_for(lambda: a.pid("fanout") != pid, 2)
        a.request("/status.json")[0].close()
    elif name in TLS:
        wait_for(lambda: answers(a, https), 10)
    else:
        time.sleep(max(0, when + EVERY - 0.2 - time.monotonic()))
        return longest(v.times, when)
    return time.monotonic() - when


def killer():
    https = free_port()
    a = Appliance(f"https_port = {https}\nproxy_port = {free_port()}\n[/dev/video0]\ncommand = testcard -g 15\n")
    v = Viewer(a)
    wait_for(lambda: answers(a, https), 10)
    tree = a.names()
    before = {name: (a.open_files(name), memory_of(a.pid(name))) for name in ("fmp4streamer",)}
    order, outages, ended, began = random.Random(SEED), {"upstream": [], "web": [], "tls": []}, 0, time.monotonic()
    count = 0
    zombies_before = set(zombies())
    while time.monotonic() - began < SECONDS:
        victim, name = order.choice([(pid, name) for pid, name in a.pids().items() if name != "fmp4streamer"])
        when = time.monotonic()
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        count += 1
        outages["web" if name in WEB else "tls" if name in TLS else "upstream"].append(kill(a, v, name, when, https))
        if v.ended:
            ended += name not in WEB
            v.close()
            v = Viewer(a)
        v.forget()
        time.sleep(max(0, when + EVERY - time.monotonic()))
    ok(wait_for(lambda: a.names() == tree, 10), f"{count} killed in {SECONDS:.0f} s (seed {SEED}), and all is there: {a.names()}")
    for what, times in outages.items():
        if times:
            print(f"# {what}: {len(times)} kills, p50 {percentile(times, .5):.2f} s, p95 {percentile(times, .95):.2f} s, longest {max(times):.2f} s")
    ok(percentile(outages["upstream"], .95) < 2 * SLOW, "upstream: p95 under 2 s")
    ok(ended == 0, f"a connection ended for something else than the web server: {ended}")
    ok(wait_for(lambda: not set(zombies()) - zombies_before, 5), f"no zombie: {set(zombies()) - zombies_before}")
    now = {name: (a.open_files(name), memory_of(a.pid(name))) for name in before}
    ok(all(now[n][0] <= before[n][0] and now[n][1] <= before[n][1] + 1024 for n in before),
       f"files and KiB of the one that lived, before {before}, after {now}")
    size = sum(os.path.getsize(os.path.join(a.run, "log", f)) for f in os.listdir(os.path.join(a.run, "log")))
    ok(size < 65536 * 4, f"{size} bytes of log kept, {len(a.said())} said")
    ok(wait_for(lambda: a.slots() == 1, 5), f"one viewer, {a.slots()} slot taken")
    v.close()
    ok(a.stop() == 0 and not a.pids() and os.listdir(a.run) == ["lock"], "it ends, and leaves nothing")
    a.remove()


run_all(killer)
sys.exit(finish())
