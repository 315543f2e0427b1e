#!/usr/bin/env python3
"""ringcat with a program of its own: what that gets, and how each of the two ends with the other; capture times."""
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from appliance import name_of
from live import BUILD, H264FMP4, TESTCARD, boxes, captured, finish, moofs, ok, run_all, wait_for

work = tempfile.mkdtemp()
env = {**os.environ, "FMP4STREAMER_RINGS": work}
RINGPUT, RINGCAT = (os.path.join(BUILD, tool) for tool in ("ringput", "ringcat"))
NTP_UNIX = 2208988800


def ringcat(*args):
    return subprocess.Popen([RINGCAT, *args], env=env, stderr=subprocess.PIPE, text=True)


def ended(process, seconds=10):
    wait_for(lambda: process.poll() is not None, seconds)
    process.kill()
    said = process.communicate()[1]
    return process.returncode, said.strip()


def child_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
        found = f.read().split()
    return int(found[0]) if found else None


def reads():
    """All of it, whole, and time for an end of its own."""
    out = os.path.join(work, "out.mp4")
    cat = ringcat("a", "sh", "-c", f"cat >{out}; sleep 0.5; echo >>{out}.done")
    wait_for(lambda: os.path.exists(out) and os.path.getsize(out) > 200000)
    cat.send_signal(signal.SIGTERM)
    code, said = ended(cat)
    ok((code, said) == (0, "") and os.path.exists(out + ".done"), f"SIGTERM: the program's input ends, and then it: {code} {said}")
    with open(out, "rb") as f:
        film = f.read()
    frames = moofs(film)
    last = sum(len(body) + 8 for _, body in boxes(film))
    ok(len(frames) > 15 and last == len(film), f"it got {len(frames)} whole fragments")
    at, wrong, count = 0, [], 0
    for kind, body in boxes(film):
        if kind == b"prft":
            time64, media = struct.unpack_from(">QQ", body, 8)
            stamp = ((time64 >> 32) - NTP_UNIX) * 1000000 + ((time64 & 0xffffffff) * 1000000 >> 32)
            if media != frames[at]["tfdt"] or abs(stamp - captured(frames[at]["payload"])) > 1:
                wrong.append((at, media, frames[at]["tfdt"]))
            count += 1
        at += kind == b"mdat"
    ok(count > 1 and not wrong, f"{count} prft boxes say when a keyframe was captured, in the stream's own times: {wrong}")


def statuses():
    for status in (0, 1, 100, 111):
        code, said = ended(ringcat("a", "sh", "-c", f"head -c 100000 >/dev/null; exit {status}"))
        ok((code, said) == (status, ""), f"its exit status is passed on: {code} {said}")
    code, said = ended(ringcat("-n", "1", "a", "sh", "-c", "cat >/dev/null; exit 7"))
    ok(code == 7, f"likewise behind -n: {code} {said}")
    code, said = ended(ringcat("a", "/nonexistent/program", "-x"))
    ok(code == 100 and said.startswith("ringcat: /nonexistent/program: "), f"one that is nowhere: {code} {said}")
    code, said = ended(ringcat("nobody", "sh", "-c", "exit 1"))
    ok(code == 1 and "not there yet" in said, f"one that ends before there is a ring: {code}")


def killed():
    cat = ringcat("a", "sh", "-c", "exec sleep 100")
    pid = wait_for(lambda: child_of(cat))
    wait_for(lambda: name_of(pid) == "sleep")
    os.kill(pid, signal.SIGKILL)
    code, said = ended(cat)
    ok(code == 111, f"the program killed: {code} {said}")
    cat = ringcat("a", "sleep", "100")
    pid = wait_for(lambda: child_of(cat))
    wait_for(lambda: name_of(pid) == "sleep")
    cat.kill()
    ok(wait_for(lambda: name_of(pid) is None or name_of(pid).startswith("zombie")), "ringcat killed: the program goes too")
    ended(cat)


card = subprocess.Popen([TESTCARD, "-g", "15"], stdout=subprocess.PIPE)
put = subprocess.Popen([RINGPUT, "a", H264FMP4], stdin=card.stdout, env=env)
wait_for(lambda: os.path.exists(os.path.join(work, "a.ring")))
time.sleep(1)
run_all(reads, statuses, killed)
for process in (card, put):
    process.kill()
    process.wait()
shutil.rmtree(work)
sys.exit(finish())
