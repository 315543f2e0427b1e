#!/usr/bin/env python3
"""The TLS front ends in service/ as they are shipped, and stunnel, each with a fanout of its own behind it.

frontends.t [NAME...]: only those."""
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

from live import ROOT, SLOW, Server, captured, finish, free_port, head, moofs, ok, run_all, skip, wait_for

FRONTEND = os.path.join(ROOT, "tests/tool/frontend")
NOT_INSTALLED = 69
PER_ADDRESS = 6
STUCK = 8
HISTORY = 130  # a new viewer is given 3.2 s of the past
ESTABLISHED = "01"

# streams: how many share a connection of HTTP/2; 0 for those that speak PROXY and leave HTTP alone.
# kept: how many bytes are on the way to one who reads nothing, at most. lighttpd leaves that to the kernel, and nginx-stream
# what it receives.
# stuck_s: when fanout has closed him. gone_s: how long the front end may keep him then; None where that is minutes.
FRONTENDS = {
    "stunnel": {"streams": 0, "kept": 600_000, "stuck_s": 14, "gone_s": None},
    "haproxy": {"streams": 0, "kept": 600_000, "stuck_s": 14, "gone_s": 16},
    "nginx-stream": {"streams": 0, "kept": 3_000_000, "stuck_s": 20, "gone_s": None},
    "nginx-http2": {"streams": 12, "kept": 600_000, "stuck_s": 14, "gone_s": 25},
    "lighttpd": {"streams": 8, "kept": 10_000_000, "stuck_s": 40, "gone_s": None},
}


starting = threading.Lock()  # one after the other, so that none takes a port that another has found free


class FrontEnd:
    def __init__(self, name, streams, kept, stuck_s, gone_s):
        self.name, self.streams, self.kept, self.stuck_s, self.gone_s = name, streams, kept, stuck_s, gone_s
        self.dir = tempfile.mkdtemp()
        os.chmod(self.dir, 0o755)  # some read their files as another user
        self.port, proxy = free_port(), free_port()
        limit = [] if streams else ["-a", str(PER_ADDRESS)]
        self.fanout = Server("-P", f"127.0.0.1:{proxy}", *limit, camera=("-g", "30"))
        self.error = tempfile.TemporaryFile()
        self.process = subprocess.Popen([FRONTEND, name, self.dir, str(self.port), str(proxy), str(self.fanout.port)],
                                        stdin=subprocess.DEVNULL, stdout=self.error, stderr=self.error)
        wait_for(lambda: self.process.poll() is not None or self.listens(), 10)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def said(self):
        self.error.seek(0)
        return self.error.read().decode(errors="replace")

    def url(self, target):
        return f"https://localhost:{self.port}{target}"

    def curl(self, *args, verified=True):
        trust = ["--cacert", os.path.join(self.dir, "cert.pem")] if verified else []
        return subprocess.Popen(["curl", "-sN", *trust, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def answer(self, *args, **more):
        """Exit status, and what curl wrote."""
        process = self.curl(*args, **more)
        out = process.communicate(timeout=60)[0]
        return process.returncode, out

    def code(self, target, *args):
        return self.answer("-o", "/dev/null", "-m", "2", "-w", "%{http_code}", *args, self.url(target))[1].decode()

    def connect(self, source):
        """One with a small window, who has asked for a stream and reads nothing."""
        context = ssl.create_default_context(cafile=os.path.join(self.dir, "cert.pem"))
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        s.settimeout(5 * SLOW)
        s.bind((source, 0))
        s.connect(("127.0.0.1", self.port))
        s = context.wrap_socket(s, server_hostname="localhost")
        s.sendall(head("/stream.mp4"))
        return s

    def rss(self):
        """Bytes of it and its children."""
        total = 0
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            pids = [self.process.pid, *f.read().split()]
        for pid in pids:
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                total += int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def connections(self):
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] == ESTABLISHED for row in rows)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.fanout.stop()
        shutil.rmtree(self.dir)


class Arrivals(threading.Thread):
    """When each fragment has come whole, by its capture time: {microseconds since 1970: time}."""
    def __init__(self, process):
        super().__init__()
        self.process, self.at = process, {}
        self.start()

    def run(self):
        data = b""
        while got := os.read(self.process.stdout.fileno(), 1 << 20):
            now, data = time.monotonic(), data + got
            while len(data) >= 8 and len(data) >= struct.unpack_from(">I", data)[0]:
                size = struct.unpack_from(">I", data)[0]
                if data[4:8] == b"mdat":
                    self.at[captured(data[8:size])] = now
                data = data[size:]


def page(front):
    want = "2" if front.streams else "1.1"
    status, out = front.answer("-w", "%{http_code} %{http_version}", front.url("/"))
    ok(status == 0 and b"<video" in out and out.endswith(f"200 {want}".encode()),
       f"{front.name}: the page, verified, HTTP/{out.rpartition(b' ')[2].decode()}")
    ok(front.answer(front.url("/"), verified=False)[0] == 60, f"{front.name}: who does not know the certificate refuses it")
    spoken = [front.code("/status.json", *options) for options in (["--tls-max", "1.2"], ["--tlsv1.3"])]
    ok(spoken == ["200", "200"], f"{front.name}: TLS 1.2 and 1.3: {spoken}")
    spoken = [front.code("/status.json", "-0", "-H", host) for host in ("Host: x", "Host:")]
    ok(spoken == ["200", "200"], f"{front.name}: HTTP/1.0, and without a Host: {spoken}")
    old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{front.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    ok(b"Cipher is (NONE)" in old.stdout, f"{front.name}: TLS 1.1 is refused")


def stream(front):
    path = os.path.join(front.dir, "stream")
    wait_for(lambda: front.fanout.status()["cameras"][0]["fragments"] > HISTORY, 10)
    times = front.answer("-m", "2", "-o", path, "-w", "%{time_appconnect} %{time_starttransfer}", front.url("/stream.mp4"))[1]
    secure, first = (float(t) for t in times.split())
    with open(path, "rb") as f:
        data = f.read()
    ok(data[4:8] == b"ftyp" and first - secure < 0.2 * SLOW,
       f"{front.name}: first bytes {1000 * (first - secure):.0f} ms after the handshake")
    ok(len(moofs(data)) >= 60, f"{front.name}: {len(moofs(data))} pictures in two seconds")


def delay(front):
    """What it adds to the way of a fragment."""
    plain = front.curl("-m", "5", f"http://127.0.0.1:{front.fanout.port}/raw.mp4")
    secure = front.curl("-m", "5", front.url("/raw.mp4"))
    readers = [Arrivals(plain), Arrivals(secure)]
    for reader in readers:
        reader.join()
        reader.process.wait()
    live = sorted(readers[0].at)[40:]  # not what was there when they came
    late = sorted(readers[1].at.get(t, 1e9) - readers[0].at[t] for t in live[:-5])
    ok(len(late) > 60 and late[-1] < 1e9, f"{front.name}: every fragment of {len(late)} comes through")
    median = 1000 * late[len(late) // 2]
    ok(median < 10 * SLOW, f"{front.name}: {median:.1f} ms later than without, {1000 * late[len(late) * 95 // 100]:.1f} at p95")


def address(front):
    """fanout counts by the viewer's own address."""
    held = [front.curl("-o", "/dev/null", "--interface", "127.0.0.2", front.url("/raw.mp4")) for _ in range(PER_ADDRESS)]
    ok(wait_for(lambda: front.fanout.status()["cameras"][0]["viewers"]["raw"] == PER_ADDRESS),
       f"{front.name}: {PER_ADDRESS} viewers from one address")
    codes = [front.code("/still.mp4", "--interface", f"127.0.0.{n}") for n in (2, 3)]
    ok(codes == ["503", "200"], f"{front.name}: no more from there, but from another: {codes}")
    for process in held:
        process.kill()
        process.wait()


def share(front):
    """Many streams on one connection of HTTP/2."""
    files = [os.path.join(front.dir, f"s{n}") for n in range(front.streams)]
    each = [part for path in files for part in ("-o", path, front.url("/raw.mp4"))]
    out = front.answer("--http2", "-Z", "--no-progress-meter", "-m", "5", "-w", "%{http_version} %{num_connects}\n", *each)[1].decode()
    told = [line.split() for line in out.splitlines()]
    ok([t[0] for t in told] == ["2"] * front.streams and sum(int(t[1]) for t in told) == 1,
       f"{front.name}: {len(told)} streams over {sum(int(t[1]) for t in told)} connection")
    came = []
    for path in files:
        with open(path, "rb") as f:
            came.append([fragment["sequence"] for fragment in moofs(f.read())])
    ok(all(len(numbers) > 90 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) for numbers in came),
       f"{front.name}: and each is whole: {min(map(len, came))} fragments at least")


def drain(s):
    """How many bytes are still on their way to somebody; one who has not been closed is a viewer again, without end."""
    total, end = 0, time.monotonic() + 5
    try:
        while time.monotonic() < end and (got := s.recv(1 << 16)):
            total += len(got)
    except OSError:
        pass
    s.close()
    return total


def stuck(front):
    """Viewers that read nothing are closed, and little waits for them; one who reads does not notice."""
    path = os.path.join(front.dir, "watched")
    watcher = front.curl("-o", path, front.url("/raw.mp4"))
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 100000)
    before = front.rss()
    start = time.monotonic()
    held = [front.connect(f"127.0.1.{n}") for n in range(1, STUCK + 1)]
    time.sleep(5)
    grown = (front.rss() - before) / STUCK
    ok(wait_for(lambda: front.fanout.status()["closed_slow_total"] == STUCK, front.stuck_s), f"{front.name}: {STUCK} that read nothing are closed")
    took = time.monotonic() - start
    ok(took > 9, f"{front.name}: after {took:.0f} s")
    ok(grown < 300_000, f"{front.name}: {grown / 1000:.0f} kB of its memory for each")
    kept = drain(held.pop())
    ok(kept < front.kept, f"{front.name}: {kept / 1000:.0f} kB were on the way to one")
    if front.gone_s:
        ok(wait_for(lambda: front.connections() <= 1, front.gone_s), f"{front.name}: their connections are gone, too")
    watcher.kill()
    watcher.wait()
    with open(path, "rb") as f:
        numbers = [fragment["sequence"] for fragment in moofs(f.read())]
    ok(len(numbers) > 250 and numbers == list(range(numbers[0], numbers[0] + len(numbers))),
       f"{front.name}: one who reads has every fragment of {len(numbers)}")
    for s in held:
        s.close()


def behind(name):
    def job():
        with starting:
            front = FrontEnd(name, **FRONTENDS[name])
        if front.process.poll() == NOT_INSTALLED:
            skip(name, "not installed")
            return
        if not ok(front.process.poll() is None, f"{name}: starts with the file that is shipped"):
            print("# " + front.said().replace("\n", "\n# "))
            return
        try:
            for step in (page, stream, delay, share if front.streams else address, stuck):
                step(front)
        finally:
            front.stop()
    job.__name__ = name
    return job


run_all(*map(behind, sys.argv[1:] or FRONTENDS))
sys.exit(finish())
