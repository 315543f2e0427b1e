#!/usr/bin/env python3
"""HLS in players, in a minute: Chromium by itself, hls.js in Firefox, ffmpeg and mpv watch one pipeline at the same
time, from its second segment on, while the source is killed and started anew, and then comes back with a larger
picture. tests/players has more of them, for longer.

hls.js is fetched from npm's registry where that is to be had. SECONDS: how long they watch (default 38).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import live
from live import ROOT, SLOW, finish, ok, run_all, skip

sys.path.insert(0, os.path.join(ROOT, "tests/players"))
from pipeline import Pipeline, judge  # noqa: E402
from player import NotHere, Page, Program, hlsjs  # noqa: E402

SECONDS = int(os.environ.get("SECONDS", "38"))
RESTART, RESIZE = 0.3, 0.6  # parts of that
GAP_MS = 4000  # between new pictures: a segment's length, and the pace of playlists, for what decodes as it comes
LATE_MS = 16000  # three target durations, a segment, and what a player takes for itself


def programs(*names):
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        raise NotHere(f"{missing[0]} is not installed")


def watched(name, player, pipeline, when, *needs):
    """One player's whole time, and what is expected of it."""
    try:
        programs(*needs)
        with tempfile.TemporaryDirectory() as directory:
            frames, requested, ended, complaints = player.play(pipeline, SECONDS, directory)
    except NotHere as why:
        if str(why).endswith("not installed"):
            skip(name, str(why))
        else:
            ok(False, f"{name}: {why}")
        return
    when_done.wait(SECONDS)
    r = judge(frames, requested, ended, *when)
    errors = [line for line in complaints if "error" in line.lower()]
    ok(r["first_ms"] is not None and r["first_ms"] < 5000 * SLOW, f"{name}: the first picture after {r['first_ms']} ms")
    ok(not errors, f"{name}: no error {errors[:3]}")
    ok(r["through"] and r["longest_ms"] < GAP_MS * SLOW,
       f"{name}: {r['frames']} pictures, on after the restart ({r['after_restart']}) and with the new size "
       f"({r['after_resize']}), the longest pause {r['longest_ms']} ms")
    counted = sum(b[1] > a[1] for a, b in zip(frames, frames[1:]))
    ok(counted > 10 * SECONDS, f"{name}: {counted} times a later picture")
    before, *after = r["delays_ms"]  # before: where it came soon enough
    ok(None not in after and max(before or 0, *after) < LATE_MS * SLOW,
       f"{name}: late by {r['delays_ms']} ms, before, between and after")


def mpv(pipeline):
    try:
        programs("mpv")
    except NotHere as why:
        skip("mpv", str(why))
        return
    run = subprocess.run(["timeout", "-s", "INT", str(SECONDS), "mpv", "--no-config", "--vo=null", "--ao=null",
                          "--msg-level=all=warn,statusline=status", "--term-status-msg=N ${estimated-frame-number} ${width}\n",
                          pipeline.url + "/cam/stream.m3u8"], stdin=subprocess.DEVNULL, capture_output=True)
    said = (run.stdout + run.stderr).decode(errors="replace").replace("\r", "\n")
    shown = re.findall(r"N (\d+) (\d+)", said)
    wrong = [line for line in said.splitlines() if "error" in line.lower() or "fail" in line.lower()]
    ok(not wrong, f"mpv: no error {wrong[:3]}")
    ok(len(set(shown)) > 10 * SECONDS, f"mpv: {len(set(shown))} pictures in {SECONDS} s")
    ok([w for w in dict.fromkeys(width for _, width in shown) if w != "0"] == ["640", "1280"], "mpv: first 640 wide, then 1280")


def disturb(pipeline, start, when):
    time.sleep(max(0, start + RESTART * SECONDS - time.time()))
    when.append(pipeline.restart())
    time.sleep(max(0, start + RESIZE * SECONDS - time.time()))
    when.append(pipeline.resize())
    when_done.set()


when_done = threading.Event()
firefox = None
try:
    programs("npm", "firefox-esr")
    files = hlsjs()
    firefox = Page((), "firefox", "hlsjs.html", query="&wait=0")
except NotHere as lacking:
    files = []
    skip("hls.js in Firefox", str(lacking))
whole, moments = Pipeline(files), []
try:
    if ok(whole.warm(1), "a segment is listed"):
        jobs = [lambda: watched("chromium", Page((), "chromium", "watch.html", query="&wait=0"), whole, moments),
                lambda: watched("ffmpeg", Program((), "ffmpeg"), whole, moments, "ffmpeg"),
                lambda: mpv(whole), lambda: disturb(whole, time.time(), moments)]
        if firefox:
            jobs.append(lambda: watched("hls.js in firefox", firefox, whole, moments))
        run_all(*jobs)
        ok(all(p.poll() is None for p in (whole.server, whole.muxer, whole.camera)), f"all of the pipeline still runs {whole.said()[-200:]!r}")
finally:
    whole.stop()
sys.exit(finish())
