#!/usr/bin/env python3
"""What a viewer sees when stages die: a page with one plain <video> in a real browser, the appliance behind it, and
processes upstream of the server killed one after the other. The page's own record of what it showed says how long
the picture stood still and how late it was afterwards.

Then the camera is away for some seconds, and comes back with pictures of another size.

KILLS: per browser (default 4). SEED: of their order. HOLES: seconds the camera is away, each once (default "5").
"""
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import live
from appliance import Appliance, watch_data
from live import ROOT, SLOW, finish, ok, skip

KILLS = int(os.environ.get("KILLS", "4"))
SEED = int(os.environ.get("SEED", "1"))
HOLES = [int(n) for n in os.environ.get("HOLES", "5").split()]
SIZES = ["1280x720", "640x480"]
CALM = 12  # seconds until a page has settled at the live edge, on a busy machine
BETWEEN = 6  # seconds from one kill to the next
UPSTREAM = ["testcard", "ondemand", "h264fmp4", "ringput", "s6-supervise cam0", "s6-supervise cam0/log"]
NO_BROWSER = 69


def kill_all(a, order):
    """[(when in ms since 1970, name)]"""
    kills = []
    for n in range(KILLS):
        name = UPSTREAM[n % len(UPSTREAM)] if n < len(UPSTREAM) else order.choice(UPSTREAM)
        time.sleep(order.random())
        pid = a.pid(name)
        kills.append((time.time() * 1000, name))
        os.kill(pid, signal.SIGKILL)
        time.sleep(BETWEEN)
    return kills


def supervise(a, *args):
    subprocess.run(["s6-svc", *args, os.path.join(a.run, "service/cam0")], check=True)


def holes(a):
    """[(when it went, when it came back, in ms since 1970, size)]"""
    found = []
    for n, seconds in enumerate(HOLES):
        size = SIZES[n % len(SIZES)]
        supervise(a, "-d")
        went = time.time() * 1000
        time.sleep(seconds)
        path = os.path.join(a.run, "service/cam0/args")
        with open(path, "rb") as f:
            args = f.read().decode().split("\0")
        args[args.index("-s") + 1] = size
        with open(path, "wb") as f:
            f.write("\0".join(args).encode())
        supervise(a, "-u")
        found.append((went, time.time() * 1000, size))
        time.sleep(BETWEEN)
    return found


def outage(frames, when):
    """The longest pause around a kill, and the median delay in the second before the next one, in ms."""
    around = [f for f in frames if when - 300 < f["clock"] < when + 1000 * (BETWEEN - 1)]
    after = [f["clock"] - f["capture_us"] / 1000 for f in frames
             if when + 1000 * (BETWEEN - 2) < f["clock"] < when + 1000 * BETWEEN]
    pause = max((b["clock"] - a["clock"] for a, b in zip(around, around[1:])), default=1000 * BETWEEN)
    return pause, statistics.median(after) if after else float("inf")


def watched(browser, data):
    a = Appliance("[/dev/video0]\ncommand = testcard -g 15 -s 640x480\n", data=data)
    record = os.path.join(a.dir, "record")
    seconds = CALM + KILLS * (BETWEEN + 1) + sum(HOLES) + len(HOLES) * BETWEEN + 2
    play = subprocess.Popen([os.path.join(ROOT, "tests/browser/play"), "-k", record, browser,
                             f"http://127.0.0.1:{a.port}/watch.html", str(seconds)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    live.wait_for(lambda: play.poll() is not None or a.pid("testcard"), 60)
    if play.poll() == NO_BROWSER:
        skip(browser, "not installed")
    else:
        time.sleep(CALM)
        kills, gaps = kill_all(a, random.Random(SEED)), holes(a)
        said = play.communicate(timeout=seconds + 60)[0].decode()
        ok(play.returncode == 0, f"{browser}: the page reports")
        judge(browser, kills, gaps, record, said)
    a.stop()
    a.remove()


def judge(browser, kills, gaps, record, said):
    with open(record, encoding="utf-8") as f:
        player = json.loads(f.readline())["players"][0]
    frames = [dict(zip(player["columns"], row)) for row in player["frames"]]
    errors = [event for event in player["events"] if event[1] in ("error", "ended", "emptied")]
    found = [(name, *outage(frames, when)) for when, name in kills]
    for name, pause, delay in found:
        print(f"# {browser}: {name} killed: pause {pause:.0f} ms, {delay:.0f} ms late four seconds after")
    ok(not errors, f"{browser}: {len(kills)} kills in one page, on one connection: {errors or said.strip()[-300:]}")
    if kills:
        judge_kills(browser, found)
    judge_holes(browser, gaps, frames, player)


def judge_kills(browser, found):
    pauses = sorted(pause for _, pause, _ in found)
    delays = sorted(delay for _, _, delay in found)
    p95 = min(len(pauses) - 1, len(pauses) * 95 // 100)
    ok(pauses[p95] < 2000 * SLOW, f"{browser}: pause p50 {statistics.median(pauses):.0f} ms, p95 {pauses[p95]:.0f} ms")
    ok(delays[p95] < 1500 * SLOW, f"{browser}: late afterwards p50 {statistics.median(delays):.0f} ms, "
       f"p95 {delays[p95]:.0f} ms")


def judge_holes(browser, gaps, frames, player):
    for went, back, size in gaps:
        returned = next((f["clock"] for f in frames if f["clock"] > back - 200 and f["capture_us"] / 1000 > went + 500), 1e300)
        late = outage(frames, back)[1]
        ok(returned - back < 2000 * SLOW and late < 1500 * SLOW,
           f"{browser}: {(back - went) / 1000:.0f} s without a camera, then {size}: a picture {returned - back:.0f} ms after "
           f"its return, {late:.0f} ms late four seconds after")
    sizes = list(dict.fromkeys(event[3] for event in player["events"] if event[1] == "resize"))
    ok(all(size in sizes for _, _, size in gaps), f"{browser}: the page has seen {sizes}")


if not shutil.which("s6-svscan"):
    sys.exit("s6 is not installed")
directory = watch_data()
for which in ("chromium", "firefox"):
    if len(sys.argv) < 2 or which in sys.argv[1:]:
        live.run_all(lambda: watched(which, directory))
shutil.rmtree(directory)
sys.exit(finish())
