#!/usr/bin/env python3
"""fanout among clients that are slow, stuck, many, or mean: who is refused, who is closed, who must not notice."""
import os
import resource
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time

from live import (SLOW, Reader, Server, answer, captured, codes, finish, head, moofs, ok, read_head, run_all, skip, talk, wait_for)

TEMP = tempfile.mkdtemp()


def site():
    """One file that does not fit into any socket, and a small one."""
    www = os.path.join(TEMP, "www")
    os.makedirs(www, exist_ok=True)
    with open(os.path.join(www, "big.bin"), "wb") as f:
        f.truncate(64 << 20)
    with open(os.path.join(www, "small.txt"), "wb") as f:
        f.write(b"small")
    return www


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return f.read().split()


def slow_files():
    if not shutil.which("busybox"):
        return skip("slow clients of files", "no busybox")
    server = Server(www=site())
    held = [server.connect(window=4096) for _ in range(70)]
    for s in held:
        s.sendall(head("/big.bin"))
    said = [read_head(s)[0] for s in held]
    ok(said.count(200) == 64 and said.count(503) == 6, f"70 slow clients of files: {said.count(503)} get 503")
    ok(len(children_of(server.process.pid)) == 64, "64 children, no more")
    ok(server.status()["static_children"] == 64 and server.get("/still.mp4")[0] == 200, "the rest goes on")
    for s in held:
        s.close()
    ok(wait_for(lambda: server.status()["static_children"] == 0, 10), "they go")
    ok(children_of(server.process.pid) == [], "and no zombie stays")
    ok(server.get("/small.txt")[2] == b"small", "files are served again")
    server.stop()


def slow_heads():
    """Half heads, and silence, for longer than the limit, while somebody else is served at once."""
    server = Server()
    with server.connect() as loris, server.connect() as silent, server.connect() as kept, server.connect() as part:
        start = time.monotonic()
        part.sendall(b"GET /status.json HTTP/1.1\r\nHost: x\r\n")
        kept.sendall(head("/status.json"))
        answer(kept)
        worst = 0
        for byte in head("/status.json", "A: " + "b" * 200)[:110]:
            try:
                loris.sendall(bytes([byte]))
            except OSError:
                break
            before = time.monotonic()
            server.get("/status.json")
            worst = max(worst, time.monotonic() - before)
            time.sleep(0.1)
        ok(worst < 0.2 * SLOW, f"nobody waits for a client in mid-head: {worst * 1000:.0f} ms at worst")
        code, headers, _ = read_head(loris)
        took = time.monotonic() - start
        ok(code == 408 and headers["connection"] == "close" and 10 <= took < 15 * SLOW, f"a byte now and then: 408 after {took:.1f} s")
        ok(read_head(part)[0] == 408, "half a head: 408")
        ok(silent.recv(10) == b"" and kept.recv(10) == b"", "who says nothing is closed without a word")
    ok(server.status()["connections"] == 1, "all are gone")
    server.stop()


def stuck_viewers():
    """Viewers whose window is full are closed after 10 s; one who reads loses nothing."""
    server = Server(camera=("-g", "30"))
    stuck = [server.connect(window=4096) for _ in range(8)]
    for i, s in enumerate(stuck):
        s.sendall(head("/raw.mp4" if i & 1 else "/stream.mp4"))
    with server.connect() as fine:
        fine.sendall(head("/raw.mp4"))
        reader = Reader(fine)
        time.sleep(8)
        ok(server.status()["closed_slow_total"] == 0, "not before 8 s")
        start = time.monotonic()
        ok(wait_for(lambda: server.status()["closed_slow_total"] == 8, 20), "eight stuck viewers are closed")
        print(f"# after {8 + time.monotonic() - start:.1f} s")
        viewers = server.status()["cameras"][0]["viewers"]
        ok(viewers == {"stream": 0, "raw": 1}, f"and only they: {viewers}")
        reader.s.shutdown(socket.SHUT_RDWR)
        frags = moofs(reader.all())
        ok(len(frags) > 200 and all(a["sequence"] + 1 == b["sequence"] for a, b in zip(frags, frags[1:])),
           f"one who reads has every fragment of {len(frags)}")
    for s in stuck:
        try:
            while s.recv(1 << 20):
                pass
            reset = False
        except ConnectionResetError:
            reset = True
        s.close()
    ok(reset, "the kernel keeps nothing for them: reset")
    server.stop()


def slow_viewer():
    """30 kB/s of a stream that needs many times that: pictures are left out, the delay stays bounded."""
    server = Server(camera=("-g", "30"))
    rate = server.status()["cameras"][0]["bits_per_second"] / 8
    with server.connect(window=16384) as s:
        s.sendall(head("/stream.mp4"))
        _, _, body = read_head(s)
        delays, at, start = [], len(body), time.monotonic()
        while time.monotonic() - start < 20:
            body += s.recv(1500)
            time.sleep(max(0, (len(body) - at) / 30000 - (time.monotonic() - start)))
            newest = body.rfind(b"MISPmicrosectime", len(body) - 3000)
            if 0 <= newest < len(body) - 48:
                delays.append(time.time() - captured(body[newest:]) / 1e6)
    print(f"# source {rate:.0f} B/s; delays {[round(d, 1) for d in delays[::5]]}")
    ok(delays and max(delays[-10:]) < 10 * SLOW, f"at 30 kB/s the last picture is {delays[-1]:.1f} s old")
    server.stop()


def limits():
    """More viewers than there may be, more connections than there may be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 12000:
        return skip("more viewers than the limit", f"ulimit -n {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (12000, hard))
    out, into = os.pipe()
    server = Server(source=out, shell="ulimit -n 5000")  # nothing to send: it is about counting
    os.close(out)
    held = [server.connect() for _ in range(2060)]
    for s in held:
        s.sendall(head("/raw.mp4"))
    ok(wait_for(lambda: server.status()["viewers_total"] == 2048, 10), "2048 viewers")
    last = [answer(s) for s in held[2048:]]
    ok([a[0] for a in last] == [503] * 12 and last[0][2] == b"too many viewers\n", "the next get 503")
    ok(server.status()["refused_total"] == 12, "and are counted")
    more = [server.connect() for _ in range(4096 - 2060)]
    ok(wait_for(lambda: server.open_files() >= 4096, 10), f"4096 connections: {server.open_files()} descriptors")
    beyond = []
    for _ in range(10):
        with server.connect() as s:
            beyond.append(s)
            try:
                said = s.recv(500)
            except OSError:
                said = b""
            beyond[-1] = codes(said)
    ok(beyond.count([503]) >= 8, f"beyond them 503: {beyond}")
    for s in held + more:
        s.close()
    ok(wait_for(lambda: talk(server, head("/status.json", "Connection: close"))[9:12] == b"200", 15), "room again when they go")
    os.close(into)
    ok(server.process.wait(20) == 0, "and the end")


def per_address():
    server = Server("-a", "3")
    wait_for(lambda: server.status()["connections"] == 1)
    held = [server.connect() for _ in range(3)]
    for s in held:
        s.sendall(head("/status.json"))
        answer(s)
    said = [talk(server, head("/status.json", "Connection: close")) for _ in range(20)]
    ok(all(codes(one) == [503] for one in said), "-a 3: the fourth connection from one address gets 503")
    ok(b"too many connections from this address\n" in said[0], "and the reason")
    held.pop().close()
    ok(wait_for(lambda: codes(talk(server, head("/status.json", "Connection: close"))) == [200], 5), "until one goes")
    for s in held:
        s.close()
    server.stop()


def no_descriptors():
    """accept() failing for want of descriptors: no busy loop, and service when there are some again."""
    server = Server(shell="ulimit -n 40")
    held = [server.connect() for _ in range(60)]
    time.sleep(0.5)
    before = server.cpu()
    time.sleep(2)
    used = server.cpu() - before
    ok(used < 0.3 * SLOW, f"without descriptors: {used * 50:.0f} % of a processor")
    ok(server.alive() and server.open_files() == 40, "all 40 are in use")
    for s in held:
        s.close()
    ok(wait_for(lambda: talk(server, head("/status.json", "Connection: close"), 1)[9:12] == b"200", 10), "served again")
    server.stop()


def ignored_children():
    """Started with SIGCHLD ignored, as some parents leave it: the children are counted all the same."""
    if not shutil.which("busybox"):
        return skip("children vanish unseen", "no busybox")
    server = Server(www=site(), shell="trap '' CHLD")
    got = [server.get("/small.txt")[2] for _ in range(70)]
    ok(got == [b"small"] * 70, "SIGCHLD ignored by our parent: 70 files, one after the other")
    ok(wait_for(lambda: server.status()["static_children"] == 0), "and no child is left over")
    server.stop()


def many_requests():
    """2000 requests of all kinds: no descriptor and no memory is left behind."""
    server = Server(www=site(), camera=("-g", "30"))

    resets = []

    def some(n):
        for i in range(n):
            with server.connect() as s:
                kind = i % 10
                if kind == 0:
                    s.sendall(head("/stream.mp4"))
                    s.recv(5000)
                elif kind == 1:
                    s.sendall(head("/raw.mp4"))
                    s.recv(500000)
                elif kind == 2:
                    s.sendall(b"GET /sta")
                elif kind == 3:
                    s.sendall(b"\x16\x03\x01")
                    s.recv(1000)
                elif kind == 4:
                    s.sendall(head("/small.txt"))
                    s.recv(1000)
                elif kind == 5:
                    s.sendall(head("/still.mp4") * 5)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif kind == 6:
                    s.sendall(head("/status.json", "Content-Length: 10") + b"0123")
                    s.recv(1000)
                else:
                    s.sendall(head("/still.mp4", "Connection: close"))
                    s.recv(100000)
    def many(n):
        try:
            some(n)
        except OSError as error:
            resets.append(error)

    some(200)
    wait_for(lambda: server.status()["connections"] == 1 and server.status()["static_children"] == 0)
    files, rss = min(server.open_files() for _ in range(20) if not time.sleep(0.02)), server.rss()
    threads = [threading.Thread(target=many, args=(500,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ok(resets == [], f"2000 requests: none is cut off {resets}")
    ok(wait_for(lambda: server.status()["connections"] == 1, 6), "2000 requests: no connection is left")
    ok(wait_for(lambda: server.open_files() == files), f"nor a descriptor: {files}, {server.open_files()}")
    grown = server.rss() - rss
    camera = server.status()["cameras"][0]
    ok(server.alive() and camera["viewers"] == {"stream": 0, "raw": 0}, "nor a viewer")
    ok(wait_for(lambda: server.status()["static_children"] == 0), "nor a child")
    print(f"# grown by {grown} bytes while the ring filled at {camera['bits_per_second'] / 8:.0f} a second")
    time.sleep(0.1)
    ok(server.said() == b"", "nothing on standard error")
    server.stop()


def flood():
    """Clients that pour without end get their answer and hold nobody up."""
    server = Server()
    stop = threading.Event()

    def pour(data):
        while not stop.is_set():
            with server.connect() as s:
                try:
                    while not stop.is_set():
                        s.sendall(data)
                except OSError:
                    pass
    threads = [threading.Thread(target=pour, args=(data,)) for data in
               (b"\r\n" * 50000, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100000, head("/status.json") * 2000, head("/still.mp4") * 2000)]
    for thread in threads:
        thread.start()
    worst = 0
    for _ in range(30):
        before = time.monotonic()
        server.get("/status.json")
        worst = max(worst, time.monotonic() - before)
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    ok(server.alive() and worst < 1 * SLOW, f"four that pour: another waits {worst * 1000:.0f} ms at worst")
    server.stop()


def main():
    run_all(slow_files, slow_heads, stuck_viewers, slow_viewer, per_address, no_descriptors, ignored_children)
    run_all(many_requests, limits)
    run_all(flood)
    shutil.rmtree(TEMP)
    return finish()


sys.exit(main())
