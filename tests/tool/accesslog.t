#!/usr/bin/env python3
"""fanout -L: a line for each request, as log readers want it; nothing in it that a client could break it with, nothing
that is secret; and a server that does not care who reads it."""
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from live import (BUILD, H264FMP4, SLOW, TESTCARD, WWW, Server, answer, codes, finish, free_port, head, ok, read_head, run_all,
                  skip, talk, wait_for)

TEMP = tempfile.mkdtemp()
QUOTED = r'"((?:[^"\\]|\\x[0-9A-F]{2})*)"'
COMBINED = re.compile(r'(\S+) - (\S+) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] ' + QUOTED + r' (\d{3}|-) (\d+|-) ' +
                      QUOTED + " " + QUOTED + r" (\d+\.\d{3}|-) (client|stuck|lapped|ring|end|-)")


class Line:
    def __init__(self, text):
        found = COMBINED.fullmatch(text)
        assert found and text.isascii() and text.isprintable() and len(text) < 1000, text
        self.address, self.user, date, self.request, status, size, self.referer, self.agent, took, self.why = found.groups()
        self.status, self.size = (None if n == "-" else int(n) for n in (status, size))
        self.took = None if took == "-" else float(took)
        age = time.time() - time.mktime(time.strptime(date, "%d/%b/%Y:%H:%M:%S +0000")) + time.timezone
        assert -2 < age < 120 * SLOW, date


def lines_of(data):
    text = data.decode("ascii")
    assert not text or text[-1] == "\n", f"a torn line: {text[-100:]}"
    return [Line(line) for line in text.split("\n")[:-1]]


class Logged:
    """A server whose log goes into a file."""
    def __init__(self, *args, **more):
        self.path = tempfile.mktemp(dir=TEMP)
        with open(self.path, "ab") as f:
            self.server = Server("-L", *args, stdout=f, **more)

    def lines(self):
        with open(self.path, "rb") as f:
            return lines_of(f.read())

    def find(self, part, seconds=5):
        """The newest line of a request that holds this."""
        return wait_for(lambda: next((one for one in reversed(self.lines()) if part in one.request), None), seconds)


def is_line(line, status, size, what, why="-"):
    found = line and (line.status, line.why)
    ok(line and found == (status, why) and (size is None or line.size == size), f"{what}: {found} {line and line.size}")


def answers():
    log = Logged(camera=("-g", "15"))
    server = log.server
    body = server.get("/still.mp4?a", "Referer: http://u:secret@host/page", "User-Agent: one two/3")[2]
    line = log.find("?a")
    is_line(line, 200, len(body), "a still, and the bytes of its body")
    ok((line.address, line.user, line.referer, line.agent) == ("127.0.0.1", "-", "http://host/page", "one two/3"), "its other fields")
    ok(line.request == "GET /still.mp4?a HTTP/1.1" and line.took < 1 * SLOW, f"its request; {line.took} s")
    talk(server, head("/still.mp4?c", method="HEAD") + head("/raw.mp4?d", method="HEAD") + head("/status.json?e", "Connection: close"))
    is_line(log.find("HEAD /still.mp4?c"), 200, 0, "HEAD of a still")
    is_line(log.find("HEAD /raw.mp4?d"), 200, 0, "HEAD of a stream")
    ok(log.find("?e").size > 100, "the status, in the same connection")
    ok(talk(server, head("/status.json?f", version="1.0")) and log.find("?f").request == "GET /status.json?f HTTP/1.0", "HTTP/1.0")
    is_line(server.get("/seg-1.m4s") and log.find("seg-1"), 404, None, "404")
    is_line(talk(server, head("/?g", method="DELETE")) and log.find("DELETE /?g"), 405, None, "405")
    is_line(talk(server, head("/?h", "Content-Length: 5") + b"12345") and log.find("?h"), 413, None, "413")
    is_line(server.get("/raw.mp4?i", "Range: bytes=5-") and log.find("?i"), 416, None, "416")
    is_line(talk(server, head("*", "Connection: close", method="OPTIONS")) and log.find("OPTIONS *"), 204, 0, "OPTIONS")
    playlist = wait_for(lambda: (got := server.get("/live.m3u8?j"))[0] == 200 and got[2], 10)
    is_line(log.find("?j"), 200, len(playlist), "a playlist")
    segment = re.search(rb"^seg-\d+.m4s", playlist, re.M).group().decode()
    body = server.get(f"/{segment}?k")[2]
    is_line(log.find("?k"), 200, len(body), "a segment")
    server.get(f"/{segment}?l", "Range: bytes=3-12")
    is_line(log.find("?l"), 206, 10, "ten bytes of it")
    before = len(log.lines())
    for data in (b"Authorization: Basic c2VjcmV0\r\n\r\n", b"GET http://u:secret@host/ HTTP/1.1\r\nHost: host\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"secret" * 1500):
        talk(server, data)
    bad = log.lines()[before:]
    ok([b.status for b in bad] == [400, 400, 431] and {b.request for b in bad} == {"-"}, "what is no request has none in its line")
    if shutil.which("busybox"):
        server.get("/index.html?m")
        line = log.find("?m")
        is_line(line, None, None, "a file: what is not known is a dash")
        ok(line.size is None and line.took is None, "so its size and its seconds")
    if shutil.which("curl"):
        subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{server.port}/still.mp4?n"], check=True)
        ok(log.find("?n").agent.startswith("curl/"), "curl")
    with open(log.path, "rb") as f:
        data = f.read()
    ok(b"secret" not in data and b"c2VjcmV0" not in data, "nothing secret is in it")
    ok(server.stop() == 0, "the end")


def viewers():
    log = Logged(camera=("-g", "15"))
    server = log.server
    stuck = server.connect(window=4096)
    stuck.sendall(head("/raw.mp4?stuck"))
    with server.connect() as s:
        s.sendall(head("/stream.mp4?goes", "User-Agent: Firefox/9"))
        size, start = len(read_head(s)[2]), time.monotonic()
        while time.monotonic() - start < 2:
            size += len(s.recv(1 << 20))
        ok(not any("?goes" in one.request for one in log.lines()), "a viewer has no line while he watches")
    line = log.find("?goes", 10)
    is_line(line, 200, None, "one who goes", "client")
    ok(line and size <= line.size <= size + (4 << 20) and 1.9 < line.took < 20 * SLOW and line.agent == "Firefox/9",
       f"{size} bytes read, {line.size} sent; {line.took} s")
    line = log.find("?stuck", 20)
    is_line(line, 200, None, "one who takes nothing", "stuck")
    ok(line and line.took > 9, f"after {line.took} s")
    stuck.close()
    stays = server.connect()
    stays.sendall(head("/raw.mp4?stays"))
    read_head(stays)
    ok(server.stop() == 0, "the server ends")
    is_line(log.find("?stays"), 200, None, "one who is watching then", "end")
    stays.close()


def replaced():
    """A ring of another size takes the place of the one that is watched."""
    with tempfile.TemporaryDirectory() as rings:
        env = {**os.environ, "FMP4STREAMER_RINGS": rings}

        def writer(mib):
            card = subprocess.Popen([TESTCARD, "-g", "15"], stdout=subprocess.PIPE)
            with card.stdout:
                return card, subprocess.Popen([os.path.join(BUILD, "ringput"), "-m", mib, "cam", H264FMP4], stdin=card.stdout, env=env)
        one = writer("16")
        log = Logged("cam", source=subprocess.DEVNULL, env=env)
        with log.server.connect() as s:
            s.sendall(head("/raw.mp4?ring"))
            read_head(s)
            for process in one:
                process.terminate()
                process.wait()
            other = writer("8")
            is_line(log.find("?ring", 15), 200, None, "a ring that is replaced", "ring")
        for process in other:
            process.terminate()
            process.wait()
        log.server.stop()


def hostile():
    """Whatever is in a field, the line is one of the format."""
    log = Logged(source=["sleep", "100"])
    values = [b'"', b"\\", b'\\"', b"%s%n%x", b'" 200 5 "-" "-"', b"]", b"\xff\xfe\xc3\xa9", b"\t\t", b"\\x0A", b"a" * 3000, b'"' * 3000,
              b"\xe2\x80\xae", b"-", b""]
    bad = [b"\x00", b"\x1b[2J", b"\r127.0.0.1 - -", b"\x7f"]
    for i, value in enumerate(values):
        s = log.server.connect()
        s.sendall(b"GET /status.json?%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: %s\r\nReferer: %s\r\n\r\n" % (i, value, value))
        assert answer(s)[0] == 200, value
        s.close()
        line = log.find(f"?{i} ")
        raw = value.decode("latin-1").strip() or "-"
        want = "".join(c if " " <= c < "\x7f" and c not in '"\\' else f"\\x{ord(c):02X}" for c in raw) or "-"
        ok(line.status == 200 and line.agent == want[:160 - (160 % 4 if want[0] == "\\" else 0)] and want.startswith(line.referer) and
           len(line.referer) <= 128, f"User-Agent {value[:20]}: {line.agent[:40]}")
    for value in bad:
        ok(codes(talk(log.server, b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a" + value + b"b\r\n\r\n")) == [400], f"{value}: 400")
    target = "/" + '"' * 10 + "a\x80" * 50
    log.server.get(target)
    line = wait_for(lambda: next((one for one in log.lines() if "\\x22" * 10 in one.request), None))
    ok(line and line.request.startswith("GET /" + "\\x22" * 10 + "a\\x80"), "a target of quotes")
    log.server.get("/status.json?long" + "b" * 2000)
    ok(len(log.find("?long").request) == len("GET  HTTP/1.1") + 384, "a long one is cut")
    ok(len(log.lines()) == len(values) + len(bad) + 2, f"{len(log.lines())} lines in all")
    log.server.stop()


def users():
    if not shutil.which("openssl"):
        return skip("users", "no openssl")
    crypted = subprocess.run(["openssl", "passwd", "-5", "pass word"], capture_output=True, check=True).stdout.decode().strip()
    path = os.path.join(TEMP, "users")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"alice:{crypted}\nal ice:{crypted}\n")
    log = Logged("-u", path, source=["sleep", "100"])

    def ask(query, credentials):
        code = base64.b64encode(credentials).decode()
        status = log.server.get(f"/status.json?{query}", f"Authorization: Basic {code}")[0]
        line = log.find(query)
        with open(log.path, "rb") as f:
            ok(code.encode() not in f.read(), f"{credentials}: not in the log")
        return status, line.status, line.user
    ok(log.server.get("/status.json?none")[0] == 401 and log.find("none").user == "-", "no password: nobody")
    ok(ask("right", b"alice:pass word") == (200, 200, "alice"), "alice")
    ok(ask("again", b"alice:pass word") == (200, 200, "alice"), "alice again")
    ok(ask("blank", b"al ice:pass word") == (200, 200, "al\\x20ice"), "a name with a blank")
    ok(ask("wrong", b"alice:pass") == (401, 401, "-"), "a wrong password is nobody's")
    ok(ask("turned", b"pass word:alice") == (401, 401, "-"), "even if it is where the name should be")
    got = log.server.get("/raw.mp4?preflight", method="OPTIONS")[0]
    ok(got == 204 and log.find("preflight").status == 204, "OPTIONS takes none")
    with open(log.path, "rb") as f:
        ok(b"pass word" not in f.read(), "no password in it")
    log.server.stop()


def addresses():
    port = free_port()
    log = Logged("-P", str(port), "-a", "2", source=["sleep", "100"])

    def ask(line, query, version=b"TCP4"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(b"PROXY " + version + b" " + line + b"\r\n" + head(f"/status.json?{query}", "Connection: close"))
            answer(s)
        return log.find(query)
    ok(ask(b"192.0.2.77 127.0.0.1 1 2", "one").address == "192.0.2.77", "IPv4, as the front end says")
    ok(ask(b"2001:DB8::7 ::1 1 2", "two", b"TCP6").address == "2001:db8::7", "IPv6")
    held = [log.server.connect() for _ in range(2)]
    said = [talk(log.server, head("/status.json", "Connection: close")) for _ in range(4)]
    ok([codes(one) for one in said] == [[503]] * 4, "over the limit of an address")
    ok(wait_for(lambda: [one.status for one in log.lines() if one.request == "-"] == [503] * 4), "is in the log, too")
    for s in held:
        s.close()
    log.server.stop()


def counter(server):
    found = re.search(rb"^fmp4streamer_log_lines_dropped_total (\d+)$", server.get("/metrics")[2], re.M)
    return int(found.group(1))


def unread(what, out, into, read):
    """Nobody reads for a while: nobody waits, no line is torn, and those that were dropped are counted."""
    server = Server("-L", source=["sleep", "100"], stdout=into)
    into.close()
    asked, worst = 0, 0
    with server.connect() as s:
        while asked < 3000:
            start = time.monotonic()
            s.sendall(head("/seg-1.m4s", "User-Agent: " + "u" * 150))
            assert answer(s)[0] == 404
            asked, worst = asked + 1, max(worst, time.monotonic() - start)
    dropped = counter(server)
    ok(dropped > 100 and worst < 1 * SLOW, f"{what}: {dropped} of {asked} dropped; nobody waits for more than {1000 * worst:.0f} ms")
    got = []
    thread = threading.Thread(target=lambda: got.extend(iter(read, b"")))
    thread.start()
    time.sleep(0.5)
    server.get("/seg-2.m4s")
    server.get("/seg-3.m4s")
    ok(server.said() == b"", f"{what}: nothing is said of it")
    ok(server.stop() == 0, f"{what}: the end")
    thread.join(20)
    out.close()
    lines = lines_of(b"".join(got))
    last = sum("seg-2" in one.request or "seg-3" in one.request for one in lines)
    ok(len(lines) in (asked - dropped + 2, asked - dropped + 3) and last == 2, f"{what}: {len(lines)} lines, all whole, the last ones there")


def slow_reader():
    out, into = os.pipe()
    out, into = os.fdopen(out, "rb", 0), os.fdopen(into, "wb", 0)
    unread("a pipe", out, into, lambda: out.read(65536))


def slow_socket():
    """One that takes a part of a line, as TCP does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        into = socket.create_connection(listener.getsockname())
        out = listener.accept()[0]
    into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
    unread("a socket", out, into, lambda: out.recv(65536))


def gone():
    out, into = os.pipe()
    server = Server("-L", stdout=into)
    os.close(into)
    server.get("/status.json?first")
    os.set_blocking(out, False)
    with os.fdopen(out, "rb", 0) as reader:
        ok(wait_for(lambda: b"?first HTTP/1.1" in (reader.read(1 << 16) or b"")), "somebody reads")
    for _ in range(5):
        ok(server.get("/still.mp4")[0] == 200, "he goes: pictures are served")
    ok(wait_for(lambda: server.said() == b"fanout: standard output: access log: Broken pipe\n"), f"it is said: {server.said()}")
    server.get("/status.json")
    time.sleep(1.5)
    ok(server.said().count(b"\n") == 1 and counter(server) >= 6, "once; the lines are counted")
    ok(server.stop() == 0, "and the end is a clean one")


def readers():
    """What goaccess makes of it, of which every line counts."""
    if not shutil.which("goaccess"):
        return skip("goaccess", "not installed")
    log = Logged()
    for target, agent in (("/still.mp4", "a"), ("/seg-1.m4s", 'b"\\'), ("/", "c"), ("/x y", "d"), ("/status.json", "\xff")):
        log.server.get(target, f"User-Agent: {agent}", "Referer: http://x/")
    log.server.stop()
    out = os.path.join(TEMP, "goaccess.json")
    subprocess.run(["goaccess", log.path, "--log-format=COMBINED", "--no-strict-status", "-o", out], capture_output=True, check=True, timeout=60)
    with open(out, encoding="utf-8") as f:
        found = json.load(f)["general"]
    asked = len(log.lines())
    ok(asked > 5 and (found["valid_requests"], found["failed_requests"]) == (asked, 0), f"goaccess reads {found['valid_requests']} of {asked} lines")


def none():
    path = os.path.join(TEMP, "none")
    with open(path, "wb") as f:
        server = Server(stdout=f)
    server.get("/still.mp4")
    ok(counter(server) == 0 and server.stop() == 0 and os.path.getsize(path) == 0, "without -L there is none")
    os.mkdir(os.path.join(TEMP, "full"))
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as f:
            server = Server("-L", stdout=f)
        ok(server.get("/still.mp4")[0] == 200 and wait_for(lambda: b"No space left" in server.said()), "a full disk is said")
        ok(server.stop() == 0, "and nothing more")


def terminal():
    """Standard output that others have open as well blocks for them as before."""
    out, into = os.pipe()
    server = Server("-L", source=["sleep", "100"], stdout=into)
    server.get("/status.json")
    ok(os.get_blocking(into), "our end of the pipe still blocks")
    ok(b"/status.json" in os.read(out, 65536), "and the log goes through it")
    server.stop()
    os.close(out), os.close(into)


run_all(answers, viewers, replaced, hostile, users, addresses)
run_all(slow_reader, slow_socket, gone, readers, none, terminal)
shutil.rmtree(TEMP)
sys.exit(finish())
