#!/usr/bin/env python3
"""A camera's cable is pulled and plugged in again under a page that goes on: the kernel's own uvcvideo, v4l2cap and the
whole appliance in a virtual machine, and a real browser outside that has one plain <video> and one connection.

usage: replug.t [browser...]: chromium, firefox; default: chromium alone, as each takes a minute."""
import json
import os
import platform
import shutil
import subprocess
import sys

import live
from appliance import watch_data
from live import BUILD, ROOT, SLOW, finish, free_port, ok, skip, wait_for

WATCH = 30  # seconds: twice ten seconds of pictures and three without
NO_BROWSER = 69


def answers(port):
    return subprocess.run(["curl", "-sf", "-m", "2", "-o", os.devnull, f"http://127.0.0.1:{port}/status.json"],
                          check=False).returncode == 0


def pauses(player):
    """[(length in s, seconds of pictures after it)] of all over a second after the first ten seconds."""
    clock = player["columns"].index("clock")
    times = [row[clock] / 1000 for row in player["frames"]]
    found = [i for i, (a, b) in enumerate(zip(times, times[1:])) if b - a > 1 and a - times[0] > 4]
    ends = [times[i] for i in found[1:]] + times[-1:]
    return [(times[i + 1] - times[i], end - times[i + 1]) for i, end in zip(found, ends)]


def watched(browser, port, directory):
    record = os.path.join(directory, browser)
    play = subprocess.run([os.path.join(ROOT, "tests/browser/play"), "-k", record, browser,
                           f"http://127.0.0.1:{port}/watch.html", str(WATCH)], capture_output=True, check=False)
    if play.returncode == NO_BROWSER:
        return skip(browser, "not installed")
    said = (play.stdout + play.stderr).decode().strip()
    ok(play.returncode == 0, f"{browser}: the page reports {said[-400:]}")
    with open(record, encoding="utf-8") as f:
        player = json.loads(f.readline())["players"][0]
    errors = [event for event in player["events"] if event[1] in ("error", "ended", "emptied")]
    ok(not errors, f"{browser}: one page, one connection: {errors}")
    found = pauses(player)
    print(f"# {browser}: without a picture for " + ", ".join(f"{length:.1f} s" for length, _ in found))
    ok(found and found[0][1] > 3, f"{browser}: the cable was pulled {len(found)} times, and pictures came back each time")
    return ok(found and max(length for length, _ in found) < 3 + 8 * SLOW, f"{browser}: within seconds")


if platform.machine() != "x86_64":
    skip("a virtual machine", f"none for {platform.machine()}")
    sys.exit(finish())
directory, port = watch_data(), free_port()
subprocess.run(["make", "-s", f"BUILD={BUILD}", "guest"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
guest = subprocess.Popen([os.path.join(ROOT, "tests/guest/run"), "-c", "2", "-t", "300", "-p", f"{port}:8000",
                          os.path.join(ROOT, "tests/guest/appliance"), directory],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env={**os.environ, "BUILD": BUILD})
if ok(wait_for(lambda: answers(port), 60), "the appliance in the guest answers"):
    for which in sys.argv[1:] or ["chromium"]:
        live.run_all(lambda: watched(which, port, directory))
guest.terminate()
for line in guest.communicate()[0].decode(errors="replace").splitlines():
    print("# guest:", line)
shutil.rmtree(directory)
sys.exit(finish())
