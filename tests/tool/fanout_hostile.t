#!/usr/bin/env python3
"""fanout among clients that mean it harm: ten thousand at once that say nothing, requests that two readers would read
differently, bodies and garbage where none belong. What is slow or merely many is in fanout_abuse.t."""
import os
import re
import resource
import select
import shutil
import socket
import sys
import tempfile
import threading
import time

from live import SLOW, Server, answer, captured, codes, finish, head, moofs, ok, read_head, run_all, skip, talk, wait_for

TEMP = tempfile.mkdtemp()
CROWD = 10000   # half-open connections
WATCHERS = 20
LIMIT_BACKLOG = 1024
FIRST = 1 * SLOW  # seconds to a new viewer's first picture, beside those that are not the server's
GAP = 3 * SLOW    # and without a picture, where it has to share the processor with who makes the crowd


class Machine(threading.Thread):
    """How long whoever wants to run has to wait at worst: what is late by that is not the server's fault."""
    def __init__(self):
        super().__init__(daemon=True)
        self.worst, self.stop = 0, False
        self.start()

    def run(self):
        while not self.stop:
            start = time.monotonic()
            time.sleep(0.02)
            self.worst = max(self.worst, time.monotonic() - start - 0.02)


def connect_from(server, address, blocking=True):
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    s.bind((address, 0))
    s.settimeout(20 * SLOW)
    s.setblocking(blocking)
    s.connect_ex(("127.0.0.1", server.port))
    return s


class Watchers(threading.Thread):
    """Viewers, half of each kind, each of an address of its own; one thread, which keeps up with them."""
    def __init__(self, server):
        super().__init__()
        self.data, self.times, self.ended, self.stop = {}, {}, 0, False
        self.poll, self.sockets, self.machine = select.epoll(), {}, Machine()
        for i in range(WATCHERS):
            s = connect_from(server, f"127.0.3.{i + 1}")
            s.sendall(head("/raw.mp4" if i % 2 else "/stream.mp4"))
            self.sockets[s.fileno()] = s
            self.data[s.fileno()], self.times[s.fileno()] = bytearray(), []
            self.poll.register(s.fileno(), select.EPOLLIN)
        self.start()

    def run(self):
        while not self.stop:
            for fd, _ in self.poll.poll(0.2):
                got = self.sockets[fd].recv(1 << 20)
                if not got:
                    self.ended += 1
                    self.poll.unregister(fd)
                self.data[fd] += got
                self.times[fd].append(time.monotonic())

    def late(self):
        """What is late by so much may be the source's fault, or this program's."""
        frags = moofs(bytes(list(self.data.values())[1]).partition(b"\r\n\r\n")[2])
        times = [captured(f["payload"]) / 1e6 for f in frags]
        return max(b - a for a, b in zip(times, times[1:])) + self.machine.worst

    def judge(self, what):
        self.stop = self.machine.stop = True
        self.join()
        lost, longest, least, late = 0, 0, 1 << 30, GAP + self.late()
        for i, (fd, data) in enumerate(self.data.items()):
            numbers = [f["sequence"] for f in moofs(bytes(data).partition(b"\r\n\r\n")[2])]
            lost += sum(a + 1 != b for a, b in zip(numbers, numbers[1:]))
            least = min(least, len(numbers))
            if i % 2:  # the others are silent for a while at first
                times = self.times[fd]
                longest = max(longest, *(b - a for a, b in zip(times, times[1:])))
            self.sockets[fd].close()
        ok(self.ended == 0 and lost == 0 and least > 60, f"{what}: {WATCHERS} viewers lose nothing of {least} pictures or more ({lost})")
        ok(longest < late, f"{what}: none waits for more than {longest:.2f} s, of {late:.2f}")


def first_picture(server, address, target="/raw.mp4"):
    """Seconds from the connection to a whole picture; None when there is no place."""
    start = time.monotonic()
    with connect_from(server, address) as s:
        s.sendall(head(target))
        status, _, body = read_head(s)
        while status == 200 and not moofs(body):
            body += s.recv(1 << 20)
    return time.monotonic() - start if status == 200 else None


def crowd_size():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CROWD + 500), hard))
    return min(CROWD, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 300)


def half_open(server, count, addresses):
    """A quarter says nothing, the others begin: with a byte, a line, all but the end."""
    begun = (b"", b"G", b"GET / HTTP/1.1\r\n", head("/stream.mp4")[:-2])
    held, own = [], connect_from(server, "127.0.3.200")

    def taken():
        own.sendall(head("/metrics"))
        return int(re.search(rb"^fmp4streamer_connections_total (\d+)", answer(own)[2], re.M).group(1))
    before = taken()
    for i in range(count):
        s = connect_from(server, f"127.0.{4 + i % addresses // 250}.{1 + i % addresses % 250}", False)
        held.append(s)
        if i % 50 == 49:
            for old in held[-50:]:
                try:
                    old.send(begun[len(held) // 50 % 4])
                except OSError:  # turned away, or not connected yet
                    pass
            # As fast as they are taken: the kernel's queue of those that are not yet is everybody's, and who finds it
            # full comes back after a second.
            wait_for(lambda: taken() - before > i - LIMIT_BACKLOG // 2)
    return [*held, own]


def from_few():
    """From eight addresses: each has its limit, and everybody else is served."""
    size = crowd_size()
    server = Server("-a", "64", camera=("-g", "15"))
    watchers = Watchers(server)
    took, stop = [], threading.Event()

    def newcomers():
        while not stop.is_set():
            took.append(first_picture(server, "127.0.2.1"))
            time.sleep(0.1)
    thread = threading.Thread(target=newcomers)
    time.sleep(1)
    thread.start()
    start = time.monotonic()
    held = half_open(server, size, 8)
    print(f"# {size} connections in {time.monotonic() - start:.1f} s")
    open_now = server.status()["connections"]
    time.sleep(max(1, start + 4 - time.monotonic()))
    stop.set()
    thread.join()
    ok(8 * 64 <= open_now <= 8 * 128 + 64, f"{size} from 8 addresses: {open_now} are open")
    late = FIRST + watchers.late()
    ok(None not in took and max(took) < late, f"{len(took)} newcomers meanwhile: first picture after {max(took):.2f} s at most, of {late:.2f}")
    watchers.judge(f"{size} from 8 addresses")
    for s in held:
        s.close()
    server.stop()


def from_many():
    """From 500: all places are taken. Who is there notices nothing; as soon as there is room, there is a picture."""
    size = crowd_size()
    server = Server("-a", "64", camera=("-g", "15"))
    watchers = Watchers(server)
    time.sleep(1)
    start = time.monotonic()
    held = half_open(server, size, 500)
    print(f"# {size} connections in {time.monotonic() - start:.1f} s")
    refused, took = 0, None
    while took is None and time.monotonic() - start < 40 * SLOW:
        try:
            took = first_picture(server, "127.0.2.1")
        except OSError:
            pass
        refused += took is None
        time.sleep(0.1)
    waited = time.monotonic() - start
    ok(refused > 0 or size < CROWD, f"{size} from 500 addresses: there is no place")
    ok(took is not None and took < FIRST + watchers.late() and waited < 25 * SLOW, f"{waited:.1f} s later there is, and a picture after {took} s")
    ok(wait_for(lambda: server.status()["connections"] == WATCHERS + 1, 20), "all of them are gone")
    watchers.judge(f"{size} from 500 addresses")
    said = {b"": 0, b"408": 0, b"503": 0, b"reset": 0}
    for s in held:
        try:
            said[s.recv(100)[9:12]] += 1
        except OSError:
            said[b"reset"] += 1
        s.close()
    ok(said[b"408"] > 500 and said[b"503"] + said[b"reset"] > 500 and said[b""] > 500, f"what they were told: {said}")
    server.stop()


def site():
    www = os.path.join(TEMP, "www")
    os.makedirs(www, exist_ok=True)
    with open(os.path.join(www, "a.txt"), "wb") as f:
        f.write(b"A file\n")
    with open(os.path.join(www, "big.bin"), "wb") as f:
        f.truncate(64 << 20)
    return www


def garbage():
    """Behind a good request: what was good is answered, the rest is refused or thrown away."""
    server = Server(www=site(), camera=("-g", "15"))
    noise = bytes(range(256)) * 16
    for what, data in (("bytes", noise), ("a line", b"GARBAGE\r\n\r\n"), ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")):
        said = talk(server, head("/status.json") + data)
        ok(codes(said) == [200, 400], f"{what} behind a status: {codes(said)}")
        said = talk(server, head("/still.mp4", method="HEAD") + data + head("/status.json"))
        ok(codes(said) == [200, 400], f"{what} behind HEAD, and a good one behind that: {codes(said)}")
        if shutil.which("busybox"):
            said = talk(server, head("/a.txt") + data)
            ok(codes(said) == [200] and said.endswith(b"A file\n"), f"{what} behind a file: the file")
    with server.connect() as s:
        s.sendall(head("/raw.mp4"))
        s.setblocking(False)
        poured, body, end = 0, b"", time.monotonic() + 3
        while time.monotonic() < end:
            try:
                poured += s.send(noise)
            except BlockingIOError:
                time.sleep(0.01)
            try:
                body += s.recv(1 << 20)
            except BlockingIOError:
                pass
    numbers = [f["sequence"] for f in moofs(body.partition(b"\r\n\r\n")[2])]
    ok(len(numbers) > 60 and all(a + 1 == b for a, b in zip(numbers, numbers[1:])),
       f"a viewer who pours ({poured} bytes were taken) loses nothing of {len(numbers)} pictures")
    ok(wait_for(lambda: server.status()["connections"] == 1), "and is gone when he goes")
    ok(server.said() == b"", "nothing on standard error")
    server.stop()


def bodies():
    """Of what is ours and of files, by length and in chunks: refused, and what is in the body is no request."""
    server = Server(www=site(), camera=("-g", "15"))
    inner = head("/status.json")
    paths = "/stream.mp4", "/raw.mp4", "/still.mp4", "/stream.m3u8", "/live.m3u8", "/seg-1.m4s", "/metrics", "/a.txt", "/nothing"
    for path in paths:
        for method in ("GET", "HEAD"):
            by_length = talk(server, head(path, f"Content-Length: {len(inner)}", method=method) + inner)
            chunked = talk(server, head(path, "Transfer-Encoding: chunked", method=method) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner))
            ok(codes(by_length) == codes(chunked) == [413], f"{method} {path} with a body: 413, once")
    said = talk(server, head("/status.json", "Content-Length: 0") + head("/metrics", "Connection: close"))
    ok(codes(said) == [200, 200], "a body of no bytes is none")
    said = talk(server, head("/raw.mp4", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    ok(codes(said) == [405], "who asks whether to send one is told not to")
    server.stop()


PATHS = (("/stream.mp4", True), ("/raw.mp4", True), ("/still.mp4", True), ("/stream.m3u8", True), ("/live.m3u8", True),
         ("/init-1.mp4", True), ("/seg-1.m4s", True), ("/status.json", True), ("/metrics", False), ("/a.txt", False), ("/", False),
         ("/nothing", False))


def methods():
    """HEAD and OPTIONS of every path."""
    server = Server(www=site(), camera=("-g", "15"))
    ok(wait_for(lambda: server.get("/live.m3u8")[0] == 200, 10), "there is a playlist")
    for path, shared in PATHS:
        code, headers, body = server.get(path, method="HEAD")
        same = server.get(path)[:2] if path not in ("/stream.mp4", "/raw.mp4") else (200, headers)
        # busybox 1.35 sends a file's bytes, too.
        ok(code == same[0] and (not body or path in ("/a.txt", "/", "/nothing")) and
           headers.get("content-type") == same[1].get("content-type"), f"HEAD {path}: {code}, as GET")
        code, headers, body = server.get(path, "Origin: http://other.example", "Access-Control-Request-Method: GET",
                                         "Access-Control-Request-Headers: range", method="OPTIONS")
        ok((code, body, headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS") and "content-length" not in headers and
           "content-type" not in headers, f"OPTIONS {path}: 204")
        allowed = [headers.get(f"access-control-allow-{what}") for what in ("origin", "methods", "headers")]
        ok(allowed == (["*", "GET, HEAD", "Authorization, Range"] if shared else [None] * 3), f"OPTIONS {path}: {allowed}")
        if shared and path not in ("/stream.mp4", "/raw.mp4", "/init-1.mp4", "/seg-1.m4s"):
            ok(server.get(path)[1].get("access-control-allow-origin") == "*", f"GET {path} holds what that promises")
        said = talk(server, head(path, "Content-Length: 0", method="PATCH") + head("/status.json"))
        ok(codes(said) == [405] and b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in said, f"PATCH {path}: 405")
    with server.connect() as s:
        s.sendall(head("*", method="OPTIONS") + head("http://x/raw.mp4", method="OPTIONS") + head("/status.json", "Connection: close"))
        said = b"".join(iter(lambda: s.recv(65536), b""))
    heads = [b"Access-Control" in part for part in said.split(b"\r\n\r\n")]
    ok(codes(said) == [204, 204, 200] and heads[:2] == [False, True], "OPTIONS *, and of a URL, and the connection goes on")
    for method, target in (("GET", "*"), ("OPTIONS", "*x"), ("OPTIONS", "x"), ("OPTIONS", "ftp://x/"), ("OPTIONS", "http://u@x/"), ("CONNECT", "x:443"), ("OPTIONS", "/../x")):
        ok(codes(talk(server, head(target, method=method))) == [400], f"{method} {target}: 400")
    server.stop()


def handed_over():
    """A connection that stays, then a file: that is its last answer, whatever else was asked for."""
    if not shutil.which("busybox"):
        return skip("files in mid-connection", "no busybox")
    server = Server(www=site(), camera=("-g", "15"))
    for again in (False, True):
        with server.connect() as s:
            s.sendall(head("/status.json"))
            ok(answer(s)[0] == 200, "the status")
            s.sendall(head("/still.mp4"))
            ok(answer(s)[0] == 200, "a still")
            s.sendall(head("/a.txt") + (head("/status.json") if again else b""))
            code, headers, rest = read_head(s)
            rest += b"".join(iter(lambda: s.recv(65536), b""))
            ok(code == 200 and headers.get("connection", "close") == "close" and rest == b"A file\n",
               f"a file, whole, and the end{', with another request behind it' if again else ''}: {rest}")
    ok(server.get("/a.txt")[2] == b"A file\n" and server.get("/status.json")[0] == 200, "a new connection has both")
    ok(wait_for(lambda: server.status()["static_children"] == 0 and server.status()["connections"] == 1), "nothing is left")
    server.stop()


LINE = b"GET /status.json HTTP/1.1\r\nHost: x\r\n"
INNER = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def smuggling():
    """What two readers of one request may understand differently is none: one answer, and the end."""
    server = Server(www=site(), source=["sleep", "100"])
    shapes = {
        "two lengths": LINE + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + INNER,
        "a list of lengths": LINE + b"Content-Length: 0, 36\r\n\r\n" + INNER,
        "a length and a coding": LINE + b"Content-Length: 36\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
        "a coding and no length": LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n" + INNER,
        "a negative length": LINE + b"Content-Length: -1\r\n\r\n" + INNER,
        "a signed length": LINE + b"Content-Length: +0\r\n\r\n" + INNER,
        "a length in hex": LINE + b"Content-Length: 0x0\r\n\r\n" + INNER,
        "a length too large": LINE + b"Content-Length: 18446744073709551616\r\n\r\n" + INNER,
        "no length": LINE + b"Content-Length:\r\n\r\n" + INNER,
        "a blank in front of the colon": LINE + b"Content-Length : 36\r\n\r\n" + INNER,
        "a folded line": LINE + b"A: b\r\n Content-Length: 36\r\n\r\n" + INNER,
        "a folded coding": LINE + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + INNER,
        "a zero": LINE + b"A: b\0c\r\n\r\n" + INNER,
        "a zero in the target": b"GET /status.json\0 HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
        "a return in a line": LINE + b"A: b\rContent-Length: 36\r\n\r\n" + INNER,
        "a tab in a name": LINE + b"Content-Length\t: 36\r\n\r\n" + INNER,
        "two hosts": LINE + b"Host: y\r\n\r\n" + INNER,
        "no host": LINE.replace(b"Host", b"Hosts") + b"\r\n" + INNER,
        "a host that is none": LINE.replace(b": x", b": x y") + b"\r\n" + INNER,
        "two hosts beside a URL's": LINE.replace(b"/s", b"http://x/s") + b"Host: y\r\n\r\n" + INNER,
        "a URL of another scheme": LINE.replace(b"/s", b"ftp://x/s") + b"\r\n" + INNER,
        "a URL without a host": LINE.replace(b"/s", b"http:///s") + b"\r\n" + INNER,
        "an absolute target with a name in it": b"GET http://u:p@x/status.json HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
        "two blanks": b"GET  /status.json HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
        "a version of three": b"GET /status.json HTTP/1.1.1\r\nHost: x\r\n\r\n" + INNER,
        "a target of three words": b"GET /status.json x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    }
    for what, data in shapes.items():
        ok(codes(talk(server, data)) == [400], f"{what}: 400, and the end")
    for coding in (b"chunked", b"identity", b"xchunked", b"chunked, identity", b"\x0bchunked", b"", b"gzip"):
        said = codes(talk(server, LINE + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + INNER))
        ok(said == [400 if coding == b"\x0bchunked" else 413], f"Transfer-Encoding {coding}: {said}, and the end")
    said = talk(server, LINE.replace(b"\r", b"") + b"\n" + LINE.replace(b"\r", b"") + b"Connection: close\n\n")
    ok(codes(said) == [200, 200], "lines that end in LF alone are lines (RFC 9112 2.2)")
    if shutil.which("busybox"):
        said = talk(server, b"GET /a.txt HTTP/1.1\nHost: x\n\nGET /status.json HTTP/1.1\nHost: x\n\n")
        ok(codes(said) == [200] and said.endswith(b"A file\n"), "to who serves files, too")
        said = talk(server, b"GET /a.txt HTTP/1.1\nHost: x\nA: b\n\tContent-Length: 36\n\n" + INNER)
        ok(codes(said) == [400], "a folded line does not get to him")
    for size, want in ((8191, 200), (8192, 200), (8193, 431), (8194, 431)):
        for path in ("/status.json", "/a.txt"):
            if path == "/a.txt" and not shutil.which("busybox"):
                continue
            data = head(path, "Connection: close", "A: ")
            data = data.replace(b"A: ", b"A: " + b"x" * (size - len(data)))
            said = talk(server, data)
            ok(len(data) == size and codes(said) == [want], f"{path}, a head of {size} bytes: {codes(said)}")
    data = head("/status.json", "A: ")
    data = data.replace(b"A: ", b"A: " + b"x" * (8192 - len(data)))
    ok(codes(talk(server, b"\r\n" * 1000 + data + INNER)) == [200, 200], "8192 with empty lines in front, and another behind")
    ok(server.alive() and server.said() == b"", "nothing on standard error")
    server.stop()


def never_reads():
    """A segment that nobody takes; a viewer who does not is in fanout_abuse.t."""
    server = Server(camera=("-g", "15", "-s", "1280x720"))
    playlist = wait_for(lambda: (got := server.get("/live.m3u8"))[0] == 200 and got[2].decode(), 15)
    name = re.search(r"^seg-\d+.m4s", playlist, re.M).group()
    with server.connect(window=4096) as s:
        s.sendall(head("/" + name) * 50)
        start = time.monotonic()
        before = server.status()["connections"]
        ok(before == 2 and wait_for(lambda: server.status()["connections"] == 1, 20), f"{name}, fifty times, and none read: closed")
        took = time.monotonic() - start
        ok(9 < took < 15 * SLOW, f"after {took:.1f} s")
    server.stop()


def main():
    run_all(from_few)
    run_all(from_many)
    run_all(garbage, bodies, methods, handed_over, smuggling, never_reads)
    shutil.rmtree(TEMP)
    return finish()


sys.exit(main())
