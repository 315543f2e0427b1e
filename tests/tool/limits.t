#!/usr/bin/env python3
"""Every limit in serve/limits.h is run into by some test: which one, says the table, and those that no other test has
are here."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from live import FANOUT, ROOT, SLOW, Server, answer, codes, finish, free_port, head, ok, read_head, run_all, skip, talk, wait_for

TEMP = tempfile.mkdtemp()
TESTS = {
    "LIMIT_CONNECTIONS": ("fanout_abuse.t", "limits"),
    "LIMIT_VIEWERS": ("fanout_abuse.t", "limits"),
    "LIMIT_PER_ADDRESS": ("limits.t", "per_address"),
    "LIMIT_HEAD": ("fanout_hostile.t", "smuggling"),
    "LIMIT_HEAD_MS": ("fanout_abuse.t", "slow_heads"),
    "LIMIT_STILL_MS": ("proxy.t", "no_picture"),
    "LIMIT_SEGMENT_MS": ("limits.t", "no_segment"),
    "LIMIT_STUCK_MS": ("fanout_abuse.t", "stuck_viewers"),
    "LIMIT_CHILDREN": ("fanout_abuse.t", "slow_files"),
    "LIMIT_CHILDREN_EACH": ("proxy.t", "children"),
    "LIMIT_CHILDREN_PART": ("proxy.t", "shares"),
    "LIMIT_CHILD_STUCK_MS": ("limits.t", "stuck_file"),
    "LIMIT_LISTENERS": ("limits.t", "options"),
    "LIMIT_CAMERAS": ("limits.t", "options"),
    "LIMIT_WWW": ("limits.t", "options"),
    "LIMIT_ACCEPTS": ("limits.t", "accepts"),
    "LIMIT_LINGER_MS": ("limits.t", "lingering"),
    "LIMIT_GONE_S": ("limits.t", "vanished"),
    "LIMIT_BACKLOG": ("limits.t", "backlog"),
    "LIMIT_UNSENT": ("limits.t", "send_queues"),
    "LIMIT_HOP": ("limits.t", "send_queues"),
    "LIMIT_STATUS": ("limits.t", "long_names"),
    "LIMIT_METRICS": ("limits.t", "long_names"),
}


def value(text):
    parts = [int(part) for part in text.split("<<")]
    return parts[0] << parts[1] if len(parts) == 2 else parts[0]


with open(os.path.join(ROOT, "serve/limits.h"), encoding="ascii") as header:
    LIMITS = {name: value(text) for name, text in re.findall(r"^ *(LIMIT_\w+) = ([0-9 <]+),", header.read(), re.M)}


def table():
    ok(len(LIMITS) > 20 and sorted(LIMITS) == sorted(TESTS), f"a test for each limit: {sorted(set(LIMITS) ^ set(TESTS))}")
    for name, (path, function) in TESTS.items():
        with open(os.path.join(ROOT, "tests/tool", path), encoding="utf-8") as f:
            ok(re.search(rf"^def {function}\(", f.read(), re.M), f"{name}: {path} has {function}()")


def options():
    def run(*args):
        done = subprocess.run([FANOUT, "-l", f"127.0.0.1:{free_port()}", *args], input=b"", capture_output=True, timeout=20 * SLOW)
        return done.returncode, done.stderr.decode()
    more = [f"127.0.0.1:{free_port()}" for _ in range(LIMITS["LIMIT_LISTENERS"])]
    code, said = run(*[arg for at in more[1:] for arg in ("-l", at)])
    ok(code == 0, f"{len(more)} addresses: {said.strip()}")
    code, said = run(*[arg for at in more for arg in ("-l", at)])
    ok(code == 100 and "too many addresses" in said and said.count("\n") == 1, f"one more: {said.strip()}")
    www = ["-w", TEMP] * LIMITS["LIMIT_WWW"]
    ok(run(*www)[0] == 0, "four directories")
    code, said = run(*www, "-w", TEMP)
    ok(code == 100 and "too many directories" in said, f"one more: {said.strip()}")
    code, said = run(*[f"c{i}" for i in range(LIMITS["LIMIT_CAMERAS"] + 1)])
    ok(code == 100 and "too many rings" in said, f"17 rings: {said.strip()}")


def long_names():
    """As many cameras as there may be, of the longest names: both pages are whole."""
    names = [f"{i:032d}" for i in range(LIMITS["LIMIT_CAMERAS"])]
    server = Server(*names, source=subprocess.DEVNULL, env={**os.environ, "FMP4STREAMER_RINGS": TEMP})
    body = server.get("/status.json")[2]
    page = json.loads(body)
    ok([c["name"] for c in page["cameras"]] == names and page["sent_bytes_total"] == 0, f"the status of 16 cameras, {len(body)} bytes")
    # Numbers are short here; of 20 digits each it would be so much longer.
    ok(len(body) + 20 * body.count(b": ") < LIMITS["LIMIT_STATUS"], "is far from its limit")
    body = server.get("/metrics")[2]
    ok(body.endswith(b"\n") and body.count(b"fmp4streamer_ring_bytes{") == 16 and
       len(body) + 20 * body.count(b"\n") < LIMITS["LIMIT_METRICS"], f"so are the metrics: {len(body)} bytes")
    server.stop()


def per_address():
    """The default, which does not hold for this machine itself."""
    port, each = free_port(), LIMITS["LIMIT_PER_ADDRESS"]
    server = Server("-P", str(port), source=["sleep", "100"])

    def come(address):
        s = socket.create_connection(("127.0.0.1", port), timeout=20 * SLOW)
        s.sendall(b"PROXY TCP4 %s 127.0.0.1 1 2\r\n" % address + head("/raw.mp4"))
        return s
    held = [come(b"192.0.2.1") for _ in range(each)]
    ok(wait_for(lambda: server.status()["cameras"][0]["viewers"]["raw"] == each), f"{each} of one address")
    over = [come(b"192.0.2.1") for _ in range(3)]
    ok([read_head(s)[0] for s in over] == [503] * 3, "then 503")
    other = come(b"192.0.2.2")
    ok(wait_for(lambda: server.status()["cameras"][0]["viewers"]["raw"] == each + 1), "another's first")
    here = [server.connect() for _ in range(2 * each)]
    for s in here:
        s.sendall(head("/status.json"))
    ok({answer(s)[0] for s in here} == {200}, f"{len(here)} from this machine")
    for s in [*held, *over, other, *here]:
        s.close()
    server.stop()


def no_segment():
    server = Server("nosuchring", source=subprocess.DEVNULL, env={**os.environ, "FMP4STREAMER_RINGS": TEMP})
    start, limit = time.monotonic(), LIMITS["LIMIT_SEGMENT_MS"] / 1000
    code, headers, _ = server.get("/live.m3u8")
    took = time.monotonic() - start
    ok(code == 503 and "retry-after" in headers and limit <= took < limit + 4 * SLOW, f"a playlist that never comes: 503 after {took:.1f} s")
    server.stop()


def stuck_file():
    if not shutil.which("busybox"):
        return skip("a file that nobody takes", "no busybox")
    www, limit = os.path.join(TEMP, "www"), LIMITS["LIMIT_CHILD_STUCK_MS"] / 1000
    os.mkdir(www)
    with open(os.path.join(www, "big"), "wb") as f:
        f.truncate(64 << 20)
    server = Server(www=www, source=["sleep", "100"])
    with server.connect(window=4096) as s:
        s.sendall(head("/big"))
        start = time.monotonic()
        ok(read_head(s)[0] == 200 and server.status()["static_children"] == 1, "a file that nobody takes")
        time.sleep(limit - 5)
        ok(server.status()["static_children"] == 1, f"for {limit - 5:.0f} s: it waits")
        gone = wait_for(lambda: server.status()["static_children"] == 0, 30)
        ok(gone, f"gone after {time.monotonic() - start:.1f} s, of {limit:.0f} or a probe more")
    server.stop()


def accepts():
    """New connections that stand in a queue, and one that is open already: how many are taken between two of its answers?"""
    server = Server(source=["sleep", "100"])
    each, asked = LIMITS["LIMIT_ACCEPTS"], 8
    with server.connect() as s:
        s.sendall(head("/status.json"))
        before = json.loads(answer(s)[2])["connections"]
        os.kill(server.process.pid, signal.SIGSTOP)
        held = [server.connect() for _ in range(5 * each)]
        s.sendall(head("/status.json") * asked)
        os.kill(server.process.pid, signal.SIGCONT)
        said = b""
        while codes(said).count(200) < asked or not said.endswith(b"}\n"):
            said += s.recv(65536)
    counts = [int(n) for n in re.findall(rb'"connections": (\d+)', said)]
    steps = [b - a for a, b in zip(counts, counts[1:])]
    ok(max(steps) == each and counts[-1] == before + 5 * each, f"{each} at most, then it is the others' turn: {counts}")
    for one in held:
        one.close()
    server.stop()


def lingering():
    server = Server(source=["sleep", "100"])
    limit = LIMITS["LIMIT_LINGER_MS"] / 1000
    with server.connect() as s:
        s.sendall(b"GARBAGE\r\n\r\n")
        start = time.monotonic()
        ok(codes(b"".join(iter(lambda: s.recv(65536), b""))) == [400], "an answer, and nothing more will come")
        refused = None
        while refused is None and time.monotonic() - start < 20 * SLOW:
            try:
                s.sendall(b"more garbage")
                time.sleep(0.1)
            except OSError:
                refused = time.monotonic() - start
    ok(refused and limit - 0.2 <= refused < limit + 4 * SLOW, f"one who goes on talking is cut off after {refused:.1f} s")
    ok(server.status()["connections"] == 1, "and gone")
    server.stop()


def backlog():
    """While the server stands still the kernel keeps as many; those, and the others who try again, are served after."""
    server, limit = Server(source=["sleep", "100"]), LIMITS["LIMIT_BACKLOG"]
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as f:
        if int(f.read()) < limit:
            return skip("connections while the server stands still", "net.core.somaxconn")
    os.kill(server.process.pid, signal.SIGSTOP)
    crowd = []
    for _ in range(limit + 200):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", server.port))
        crowd.append(s)
    time.sleep(0.5)

    def connected(s):
        try:
            s.getpeername()
        except OSError:
            return False
        return True
    waiting = sum(map(connected, crowd))
    os.kill(server.process.pid, signal.SIGCONT)
    ok(limit <= waiting < limit + 100, f"while the server stands still, {waiting} are connected, of {limit}")
    ok(wait_for(lambda: all(map(connected, crowd)), 20), "then everybody is")
    for s in crowd:
        s.settimeout(20 * SLOW)
        s.sendall(head("/status.json"))
    ok({answer(s)[0] for s in crowd} == {200}, "and has an answer")
    for s in crowd:
        s.close()
    server.stop()


def queue_of(port):
    """Bytes that the kernel holds for the one client of a port: /proc/net/tcp."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return [int(row[4].split(":")[0], 16) for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == "01"]


def send_queues():
    """Of one who takes nothing: what the kernel holds of a live stream; towards a front end it is less."""
    port = free_port()
    server = Server("-P", str(port), camera=("-g", "5", "-s", "1280x720"))
    unsent, hop = LIMITS["LIMIT_UNSENT"], LIMITS["LIMIT_HOP"]
    with server.connect(window=4096) as plain, socket.socket() as behind:
        behind.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        behind.connect(("127.0.0.1", port))
        plain.sendall(head("/raw.mp4"))
        behind.sendall(b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n" + head("/raw.mp4"))
        time.sleep(5)
        direct, front = max(queue_of(server.port)), max(queue_of(port))
    ok(unsent // 2 < direct < 2 * unsent + (64 << 10), f"{direct} bytes for a viewer, of {unsent} and a picture")
    ok(0 < front <= 2 * hop, f"{front} bytes for a front end, of {hop}, which the kernel doubles")
    server.stop()


# In a network of its own, whose only link goes down: the client is gone, and nothing tells.
VANISH = r"""
ip link set lo up
sleep 100 | "$1" -l 127.0.0.1:8000 -w "$2" & server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; exec 3<>/dev/tcp/127.0.0.1/8000 && break; done
printf 'GET /raw.mp4 HTTP/1.1\r\nHost: x\r\n\r\n' >&3
sleep 1
pid=$(pidof -s fanout)
open() { ls -l /proc/$pid/fd | grep -c socket:; }
echo before $(open)
ip link set lo down
start=$SECONDS
was=$(open)
while [ $((SECONDS - start)) -lt 120 ] && [ "$(open)" = "$was" ]; do sleep 0.5; done
echo after $((SECONDS - start)) $was $(open)
kill $server $pid
"""


def vanished():
    if subprocess.run(["unshare", "-rnpf", "--mount-proc", "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        return skip("a client that vanishes", "no network of its own to be had")
    limit = LIMITS["LIMIT_GONE_S"]
    run = subprocess.run(["unshare", "-rnpf", "--mount-proc", "bash", "-c", VANISH, "bash", FANOUT, TEMP], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, timeout=200 * SLOW)
    found = re.search(r"after (\d+) (\d+) (\d+)", run.stdout.decode())
    took, was, left = map(int, found.groups()) if found else (0, 0, 0)
    ok(left == was - 1 and limit * 0.8 <= took <= limit * 1.5, f"a viewer who vanishes while there is nothing to send is gone after {took} s, of {limit}")


table()
run_all(options, long_names, per_address, no_segment, stuck_file, lingering, send_queues, vanished)
run_all(accepts)
run_all(backlog)
shutil.rmtree(TEMP)
sys.exit(finish())
