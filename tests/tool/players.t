#!/usr/bin/env python3
"""Players of other people's on fanout's streams: ffmpeg, mpv and curl for some seconds each, at the same time."""
import re
import shutil
import subprocess
import sys
import time

from live import SLOW, Server, boxes, finish, moofs, ok, run_all, skip

SECONDS = 6


def for_a_while(*args):
    """What a program says in SECONDS, and how it ended; it is asked to stop when it does not by itself."""
    run = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = run.communicate(timeout=(SECONDS + 12) * SLOW)
    except subprocess.TimeoutExpired:
        run.kill()
        out, err = run.communicate()
    return run.returncode, out, err.decode(errors="replace").strip()


def ffmpeg(server, path):
    if not shutil.which("ffmpeg"):
        return skip(f"ffmpeg plays {path}", "no ffmpeg")
    start = time.monotonic()
    code, out, err = for_a_while("ffmpeg", "-v", "error", "-progress", "-", "-nostats", "-i", server.url + path, "-t",
                                 str(SECONDS), "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-")
    took = time.monotonic() - start
    frames = int((re.findall(rb"frame=(\d+)", out) or [0])[-1])
    ok(code == 0 and err == "", f"ffmpeg plays {path}: no error {err[:200]!r}")
    # stream.mp4 begins with a burst of history, so its seconds are fewer than the clock's.
    ok(25 * SECONDS <= frames <= 60 * SECONDS and took < (SECONDS + 4) * SLOW, f"{frames} frames, {SECONDS} s of media in {took:.1f} s")


def mpv(server, path):
    if not shutil.which("mpv"):
        return skip(f"mpv plays {path}", "no mpv")
    code, out, err = for_a_while("timeout", "-s", "INT", str(SECONDS), "mpv", "--no-config", "--vo=null", "--ao=null",
                                 "--msg-level=all=warn,statusline=status", "--term-status-msg=N ${=time-pos}\n",
                                 server.url + path)
    said = (out.decode(errors="replace") + err).replace("\r", "\n")
    times = [float(n) for n in re.findall(r"N (\d+\.\d+)", said)]
    wrong = [line for line in said.splitlines() if "error" in line.lower() or "fail" in line.lower()]
    ok(not wrong, f"mpv plays {path}: no error {wrong[:3]}")
    played = max(times) - min(times) if times else 0
    ok(0.6 * SECONDS <= played <= SECONDS + 1 and len(set(times)) > 5 * SECONDS, f"{played:.1f} s and {len(set(times))} times shown in {SECONDS} s")


def curl(server, path):
    if not shutil.which("curl"):
        return skip(f"curl takes {path}", "no curl")
    code, out, err = for_a_while("curl", "-sSN", "-m", str(SECONDS), server.url + path)
    frags = moofs(out)
    ok(code == 28 and "timed out" in err, f"curl takes {path} until it is told to stop")
    ok([kind for kind, _ in boxes(out)][:2] == [b"ftyp", b"moov"] and len(frags) >= 25 * SECONDS, f"{len(frags)} fragments in {SECONDS} s")


def main():
    server = Server(camera=("-g", "30"))
    server.url = f"http://127.0.0.1:{server.port}"
    time.sleep(4.5)  # of history
    run_all(*(lambda play=play, path=path: play(server, path) for play in (ffmpeg, mpv, curl) for path in ("/raw.mp4", "/stream.mp4")))
    ok(server.alive() and server.said() == b"", "the server says nothing")
    ok(server.stop() == 0, "and ends well")
    return finish()


sys.exit(main())
