#!/usr/bin/env python3
"""Five hundred viewers of one stream, of whom fifty read at a tenth of its rate and ten not at all: the others lose
nothing, the kernel holds no more for the slow ones than it is allowed to, and the dead are closed in time."""
import os
import statistics
import subprocess
import sys
import threading
import time

from live import BUILD, SLOW, Server, captured, finish, head, moofs, ok, read_head, skip

LOAD = os.path.join(BUILD, "bench/load")
STREAM = ("-s", "640x480", "-r", "50", "-g", "10")  # of 4 Mbit/s
FAST, SLOW_ONES, DEAD = 220, 50, 5  # of each of two crowds, the slow ones in the second
SLOW_KB = 50
WARM, SECONDS = 5, 12
LIMIT_STUCK_MS = 10000
LIMIT_UNSENT = 128 << 10
# Of one who does not keep up: what may lie unsent, as much again since a picture is given to the kernel whole, and
# what is on its way to a receiver with a small buffer. By itself the kernel would take 4 MiB.
BOUND_EACH = 2 * LIMIT_UNSENT + (64 << 10)
BOUND_FAST = 32 << 10  # on the average, of those who do
HINDERED_FROM = 2 + FAST // 4  # the last byte of their addresses: load has four viewers to each
FRESH = 0.4  # seconds: a source with longer pauses was not on time


class Source(threading.Thread):
    """A viewer of our own, who knows when pictures were taken."""
    def __init__(self, server):
        super().__init__()
        self.s, self.data, self.stop = server.connect(), b"", False
        self.s.sendall(head("/raw.mp4"))
        self.data = read_head(self.s)[2]
        self.start()

    def run(self):
        while not self.stop:
            self.data += self.s.recv(1 << 20)

    def longest_pause(self):
        self.stop = True
        self.join()
        times = [captured(f["payload"]) / 1e6 for f in moofs(self.data)]
        return max(b - a for a, b in zip(times, times[1:]))


def send_queues(port):
    """Bytes that the kernel holds for each client, by the last byte of its address: /proc/net/tcp, local side `port`."""
    found = []
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            _, local, remote, state, queues = line.split()[:5]
            if int(local.split(":")[1], 16) == port and state == "01":
                found.append((int(remote[:2], 16), int(queues.split(":")[0], 16)))
    return found


def crowd(server, path, *args):
    return subprocess.Popen([LOAD, "-n", str(FAST), "-s", str(DEAD), "-w", str(WARM), "-t", str(SECONDS), "-p", str(server.port),
                             "-u", path, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def said_by(load):
    out = load.communicate(timeout=120 * SLOW)[0].decode().strip()
    print("# " + out.replace("\n", "\n# "))
    return load.returncode, dict(pair.split("=") for pair in out.split() if "=" in pair)


def one():
    """Everything that was seen, as (good, what); and how late the source was."""
    server = Server(camera=STREAM)
    rate = server.status()["cameras"][0]["bits_per_second"]
    source = Source(server)
    start = time.monotonic()
    loads = [crowd(server, "/raw.mp4"), crowd(server, "/stream.mp4", "-k", str(SLOW_ONES), "-x", str(SLOW_KB))]
    slow, fast, closed_at, joined = [], [], None, None
    while any(load.poll() is None for load in loads) and time.monotonic() - start < (WARM + SECONDS + 10) * SLOW:
        queues = send_queues(server.port)
        late = [n for address, n in queues if address >= HINDERED_FROM and address < 200]
        status = server.status()
        now = time.monotonic()
        if joined is None and status["viewers_total"] > 2 * FAST + SLOW_ONES + 2 * DEAD:
            joined = now
        if closed_at is None and status["closed_slow_total"] == 2 * DEAD:
            closed_at = now
        if joined and now - joined < WARM + SECONDS - 2:
            slow.append((max(late), sum(late)))
            fast.append(statistics.mean([n for address, n in queues if 2 <= address < HINDERED_FROM]))
        time.sleep(0.25)
    reports = [said_by(load) for load in loads]
    pause = source.longest_pause()
    closed = server.status()["closed_slow_total"]
    server.stop()
    found = [(rate > 3.5e6, f"a stream of {rate / 1e6:.1f} Mbit/s")]
    for what, (status, got) in zip(("raw", "stream"), reports):
        found.append((status == 0 and int(got["alive"]) == FAST and got["gaps"] == "0",
                      f"{what}.mp4: {got.get('alive')} of {FAST} are served, {got.get('gaps')} gaps"))
        found.append((float(got["fps_min"]) > 30, f"{what}.mp4: the worst gets {got['fps_min']} of 50 pictures a second"))
    alive = [int(got["hindered_alive"]) for _, got in reports]
    found.append((alive == [0, SLOW_ONES] and closed == 2 * DEAD, f"the {2 * DEAD} dead are closed, the {SLOW_ONES} slow are not: {alive}, {closed}"))
    after = closed_at - start if closed_at else 0
    found.append((closed_at and joined and LIMIT_STUCK_MS / 1000 <= after < joined - start + LIMIT_STUCK_MS / 1000 + 6 * SLOW,
                  f"after {after:.1f} s"))
    each, all_of_them = max(a for a, _ in slow), max(b for _, b in slow)
    found.append((each <= BOUND_EACH, f"the kernel holds at most {each >> 10} KiB for one of them, of {BOUND_EACH >> 10}"))
    found.append((all_of_them <= (SLOW_ONES + 2 * DEAD) * BOUND_EACH, f"and {all_of_them >> 10} KiB for all, of {(SLOW_ONES + 2 * DEAD) * BOUND_EACH >> 10}"))
    found.append((statistics.median(fast) <= BOUND_FAST, f"and for one who keeps up {statistics.median(fast) / 1024:.1f} KiB"))
    return found, pause


results, late = one()
if late > FRESH and not all(good for good, _ in results):
    print(f"# the source itself paused for {late:.2f} s: once more")
    results, late = one()
print(f"# the source's longest pause is {late:.2f} s")
for good, what in results:
    if not good and late > FRESH and "a second" in what:
        skip(what, f"there was no processor for the source either, for {late:.2f} s")
    else:
        ok(good, what)
sys.exit(finish())
