#!/usr/bin/env python3
"""service/nginx-edge.conf as it is shipped, and a relay: viewers beyond one machine. However many there are, the camera's
machine is asked for each thing once."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import FANOUT, H264FMP4, ROOT, TESTCARD, Server, answer, codes, finish, free_port, head, moofs, ok, talk, wait_for

FRONTEND = os.path.join(ROOT, "tests/tool/frontend")
SECONDS = 8
edges = []


class Edge:
    def __init__(self, origin):
        self.dir, self.port = tempfile.mkdtemp(), free_port()
        os.chmod(self.dir, 0o755)
        self.error = tempfile.TemporaryFile()
        self.process = subprocess.Popen([FRONTEND, "nginx-edge", self.dir, str(self.port), "1", str(origin)],
                                        stdin=subprocess.DEVNULL, stdout=self.error, stderr=self.error)
        edges.append(self)
        wait_for(lambda: self.process.poll() is not None or self.listens(), 10)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def get(self, target, *headers):
        with self.connect() as s:
            s.sendall(head(target, "Connection: close", *headers))
            return answer(s)

    def stop(self):
        edges.remove(self)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        shutil.rmtree(self.dir)


class Viewer(threading.Thread):
    """Polls as players do, and fetches what is new. Counts what it got, and what went wrong."""
    def __init__(self, port):
        super().__init__()
        self.port, self.got, self.wrong, self.old = port, {}, [], 0

    def fetch(self, s, target):
        s.sendall(head(target))
        status, headers, body = answer(s)
        if status != 200:
            self.wrong.append(f"{target}: {status}")
        return body

    def run(self):
        try:
            self.view()
        except Exception as e:
            self.wrong.append(repr(e))

    def view(self):
        end = time.monotonic() + SECONDS
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            self.fetch(s, "/stream.m3u8")
            while time.monotonic() < end:
                text = self.fetch(s, "/live.m3u8").decode()
                number = int(re.search(r"MEDIA-SEQUENCE:(\d+)", text)[1])
                if number < self.old:
                    self.wrong.append(f"from {self.old} back to {number}")
                self.old = number
                for name in re.findall(r"init-\d+\.mp4|seg-\d+\.m4s", text)[-3:]:
                    if name not in self.got:
                        self.got[name] = self.fetch(s, "/" + name)
                time.sleep(0.5)


def counted(origin, edge, viewers):
    """How often fanout was asked, while so many watched for SECONDS."""
    before = origin.status()["requests_total"]
    threads = [Viewer(edge.port) for _ in range(viewers)]
    for thread in threads:
        thread.start()
        time.sleep(0.3 / viewers)
    for thread in threads:
        thread.join()
    asked = origin.status()["requests_total"] - before - 1
    wrong = [w for t in threads for w in t.wrong]
    ok(not wrong, f"{viewers} viewers: nothing went wrong" + "".join(f"\n# {w}" for w in wrong[:5]))
    ok(all(len(t.got) >= 5 for t in threads), f"each got {min(len(t.got) for t in threads)} or more")
    names = {name for t in threads for name in t.got}
    same = all(len({t.got[n] for t in threads if n in t.got}) == 1 and next(t.got[n] for t in threads if n in t.got) ==
               origin.get("/" + n)[2] for n in sorted(names)[-4:])
    ok(same, "byte for byte what fanout has")
    return asked


def edge():
    origin = Server(camera=("-g", "15", "-s", "320x240"))
    wait_for(lambda: origin.get("/live.m3u8")[2].count(b"seg-") >= 3, 15)
    cache = Edge(origin.port)
    if cache.process.poll() is not None:
        cache.error.seek(0)
        ok(False, f"nginx does not run: {cache.error.read()}")
        return
    asked = {n: counted(origin, cache, n) for n in (1, 20, 200)}
    print(f"# requests at fanout for {SECONDS} s of so many viewers: {asked}", flush=True)
    most = 2 * SECONDS + 8
    ok(all(n <= most for n in asked.values()), f"never more than {most}: {asked}")
    ok(asked[200] <= asked[20] + SECONDS + 4, "200 viewers cost hardly more than 20: what it takes longer to count them")
    text = cache.get("/live.m3u8")[2].decode()
    seg = "/" + re.findall(r"seg-\d+\.m4s", text)[-1]
    whole = cache.get(seg)[2]
    status, headers, part = cache.get(seg, "Range: bytes=10-19")
    ok(status == 206 and part == whole[10:20] and headers["x-cache"] == "HIT", "ranges come out of the cache")
    status, headers, body = cache.get(seg + "?query=1")
    ok(headers["x-cache"] == "HIT" and "immutable" in headers["cache-control"] and
       headers["access-control-allow-origin"] == "*", "queries are nothing to it; headers are passed on")
    for host in ("Host: x\r\n", ""):
        ok(codes(talk(cache, f"GET /live.m3u8 HTTP/1.0\r\n{host}\r\n".encode())) == [200], f"HTTP/1.0, {host.strip() or 'without a Host'}")
    ok([cache.get(p)[0] for p in ("/stream.mp4", "/raw.mp4", "/", "/status.json", "/seg-1.m4s", "/seg-x.m4s")] == [404] * 6,
       "nothing else is served, nor what is not there")
    origin.stop()
    ok(cache.get("/live.m3u8")[0] == 200 and cache.get(seg)[2] == whole, "fanout is gone for a moment: the newest is there")
    cache.stop()


def relay():
    """curl | fanout, on another machine."""
    origin = Server(camera=("-g", "15", "-s", "320x240"))
    pipe = f"curl -sN http://127.0.0.1:{origin.port}/raw.mp4"
    copy = Server(source=["sh", "-c", pipe])
    text = wait_for(lambda: copy.get("/live.m3u8")[2].decode(), 15)
    ok(wait_for(lambda: copy.get("/live.m3u8")[2].count(b"seg-") >= 2, 10), "a relay has HLS of its own")
    text = copy.get("/live.m3u8")[2].decode()
    seg = re.findall(r"seg-\d+\.m4s", text)[-1]
    frames = [f["payload"] for f in moofs(copy.get("/" + seg)[2])]
    theirs = b"".join(origin.get("/" + name)[2] for name in
                      re.findall(r"seg-\d+\.m4s", origin.get("/live.m3u8")[2].decode()))
    ok(len(frames) >= 45 and all(f in theirs for f in frames[:40]), f"{len(frames)} pictures, the camera's own")
    ok("PROGRAM-DATE-TIME" in text, "and when they were taken")
    copy.stop()
    origin.stop()


try:
    edge()
    relay()
finally:
    for cache in list(edges):
        cache.stop()
    status = finish()
sys.exit(status)
