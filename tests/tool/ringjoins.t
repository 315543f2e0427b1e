#!/usr/bin/env python3
"""Ten thousand viewers come and go at a named ring, with ondemand behind it: nothing is left of them."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

TEMP = tempfile.mkdtemp()
os.environ["FMP4STREAMER_RINGS"] = os.path.join(TEMP, "rings")
os.mkdir(os.environ["FMP4STREAMER_RINGS"])

from live import BUILD, H264FMP4, TESTCARD, Server, finish, head, ok, wait_for

MANY, TOGETHER = int(os.environ.get("JOINS", "10000")), 50
ONDEMAND, RINGPUT = (os.path.join(BUILD, tool) for tool in ("ondemand", "ringput"))
SLACK = 1 << 20  # bytes; what 10,000 leaks of the smallest size would be many times over


def control(server):
    """Joins, keyframes wanted; and the slots that fanout holds, by the kernel's list of locks."""
    path = os.path.join(TEMP, "rings/cam.ctl")
    with open(path, "rb") as f:
        joins, keys = struct.unpack_from("<II", f.read(24), 16)
    with open("/proc/locks", encoding="ascii") as f:
        inode = f":{os.stat(path).st_ino} "
        ranges = [line.split()[-2:] for line in f if inode in line]
    return joins, keys, sum(int(b) - int(a) + 1 for a, b in ranges)


def visit(server, turn, count):
    """Some leave at once, some after the head, some after a picture."""
    for n in range(turn, MANY, TOGETHER):
        path = ("/cam/stream.mp4", "/cam/raw.mp4", "/cam/still.mp4")[n % 3]
        with server.connect() as s:
            s.settimeout(10)
            s.sendall(head(path))
            if n % 4 and s.recv(100 if n % 4 < 3 else 20000):
                count[turn] += 1
            if n % 5 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset


def crowd(server):
    count = [0] * TOGETHER
    threads = [threading.Thread(target=visit, args=(server, i, count)) for i in range(TOGETHER)]
    began = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(count), time.monotonic() - began


def exhausted(server):
    """Every slot but the one that is held is taken by somebody else."""
    with open(os.path.join(TEMP, "rings/cam.ctl"), "r+b") as f:
        for slot in range(4096):
            try:
                fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 4096 + slot, 1, 0))  # F_OFD_SETLK
            except BlockingIOError:
                pass
        ok(control(server)[2] == 4096, "all slots are taken")
        with server.connect() as s:
            s.sendall(head("/cam/raw.mp4"))
            ok(s.recv(1000).startswith(b"HTTP/1.1 200"), "one more viewer is served without")
    ok(wait_for(lambda: control(server)[2] == 1), "and takes nobody's away")


camera = subprocess.Popen([ONDEMAND, "-l", "2", "cam", TESTCARD, "-g", "15", "-s", "320x240"], stdout=subprocess.PIPE)
put = subprocess.Popen([RINGPUT, "-m", "2", "cam", H264FMP4], stdin=camera.stdout)
server = Server("-a", "4096", "cam", source=subprocess.DEVNULL)
try:
    with server.connect() as first:
        first.sendall(head("/cam/raw.mp4"))
        ok(first.recv(1000).startswith(b"HTTP/1.1 200"), "the camera wakes for the first viewer")
        for n in range(200):  # what is taken once is taken now
            visit(server, n + MANY - 200, {n + MANY - 200: 0})
        ok(wait_for(lambda: control(server)[2] == 1), "one viewer, one slot")
        files, memory, before = server.open_files(), server.rss(), control(server)
        answered, seconds = crowd(server)
        ok(answered >= MANY * 3 // 4, f"{MANY} came and went in {seconds:.1f} s; all {answered} who waited were answered")
        ok(wait_for(lambda: server.open_files() <= files), f"descriptors: {files}, then {server.open_files()}")
        ok(wait_for(lambda: control(server)[2] == 1), f"slots held: {control(server)[2]}")
        after = control(server)
        # Whoever resets at once may be gone before anybody reads what was asked.
        ok(MANY * 3 // 4 <= after[0] - before[0] <= MANY, f"joins went up by {after[0] - before[0]}")
        # Of a camera that makes two a second; it may stand still for seconds on a machine with other work.
        ok(after[1] - before[1] <= 3, f"no keyframe is wanted for each who joins: {after[1] - before[1]}")
        ok(server.rss() - memory < SLACK, f"memory: {memory >> 10} KiB, then {server.rss() >> 10}")
        ok(server.status()["cameras"][0]["viewers"] == {"stream": 0, "raw": 1}, "the status page counts one")
        exhausted(server)
        ok(first.recv(1 << 20) and camera.poll() is None, "the first one is still served")
    ok(wait_for(lambda: control(server)[2] == 0), "and no slot is held when it has gone")
finally:
    camera.terminate()
    put.terminate()
    camera.wait(10)
    put.wait(10)
    failed = finish()
    shutil.rmtree(TEMP, ignore_errors=True)
raise SystemExit(failed)
