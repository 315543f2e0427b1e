"""A network between this machine's browsers and servers: a name space with an address of its own behind two TUN
devices, between which this process carries every packet, with a delay, jitter, a rate and stalls. So TCP is real
from end to end: what is not acknowledged has not arrived. Needs root.

A stalled network holds what a router would, and drops the rest.
"""
import collections
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
HERE, THERE = (f"10.77.{os.getpid() % 256}.{end}" for end in (1, 2))  # one each for labs side by side
CONGESTION = os.environ.get("CONGESTION")  # control of the servers' TCP; else as this machine's (must be allowed to all)
ROOM = 128 << 10  # bytes that are held in one direction
PACKET_MAX = 2048


class Way:
    """One direction: packets leave in the order in which they came."""

    def __init__(self, net, source, sink):
        self.net, self.source, self.sink = net, source, sink
        self.packets, self.held, self.last = collections.deque(), 0, 0.0
        self.budget, self.at = 0.0, time.monotonic()

    def take(self, now):
        while True:
            try:
                packet = os.read(self.source, PACKET_MAX)
            except BlockingIOError:
                return
            waiting = self.packets and self.packets[0][0] <= now
            if self.held + len(packet) > ROOM and waiting:
                continue
            self.last = max(self.last, now + self.net.lag())
            self.packets.append((self.last, packet))
            self.held += len(packet)

    def give(self, now):
        """When to be called again."""
        if now < self.net.stalled_until:
            return self.net.stalled_until
        rate = self.net.rate / 8
        self.budget = min(self.budget + (now - self.at) * rate, rate * 0.02 + PACKET_MAX)
        self.at = now
        while self.packets:
            due, packet = self.packets[0]
            if due > now:
                return due
            if rate and self.budget < len(packet):
                return now + (len(packet) - self.budget) / rate
            self.budget -= len(packet)
            self.packets.popleft()
            self.held -= len(packet)
            try:
                os.write(self.sink, packet)
            except OSError:
                pass  # as a network may
        return float("inf")


class Net:
    """Times in seconds; delay: one way; jitter: up to so much more, evenly; hiccup: one packet in a hundred so much
    later, and those behind it with it. rate: bits a second, each way."""

    def __init__(self, delay=0.0, jitter=0.0, hiccup=0.0, rate=0):
        self.delay, self.jitter, self.hiccup, self.rate = delay, jitter, hiccup, rate
        self.stalled_until, self.random, self.ending = 0.0, random.Random(1), False
        self.name = f"lab{os.getpid()}"
        self.devices = [self.tun(f"{self.name}{end}") for end in "ab"]
        self.set_up()
        self.wake_r, self.wake_w = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @staticmethod
    def tun(name):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        return fd

    def set_up(self):
        a, b, ns = f"{self.name}a", f"{self.name}b", self.name
        for command in (f"ip netns add {ns}", f"ip link set {b} netns {ns}", f"ip addr add {HERE}/30 dev {a}",
                        f"ip link set {a} up", f"ip -n {ns} addr add {THERE}/30 dev {b}", f"ip -n {ns} link set {b} up",
                        f"ip -n {ns} link set lo up"):
            subprocess.run(command.split(), check=True)
        if CONGESTION:
            subprocess.run(self.inside(["sysctl", "-qw", f"net.ipv4.tcp_congestion_control={CONGESTION}"]), check=True)

    def inside(self, command):
        """The command that runs it in the name space."""
        return ["ip", "netns", "exec", self.name, *command]

    def lag(self):
        late = self.hiccup if self.hiccup and self.random.random() < 0.01 else 0.0
        return self.delay + self.random.uniform(0, self.jitter) + late

    def stall(self, seconds):
        """From now on nothing arrives for so long."""
        self.stalled_until = time.monotonic() + seconds
        os.write(self.wake_w, b"x")

    def run(self):
        here, there = self.devices
        ways = (Way(self, here, there), Way(self, there, here))
        due = float("inf")
        while not self.ending:
            wait = max(0.0, min(0.2, due - time.monotonic()))
            ready, _, _ = select.select([here, there, self.wake_r], [], [], wait)
            if self.wake_r in ready:
                os.read(self.wake_r, 100)
            now = time.monotonic()
            for way in ways:
                if way.source in ready:
                    way.take(now)
            due = min(way.give(now) for way in ways)

    def close(self):
        self.ending = True
        self.thread.join(5)
        for fd in self.devices:
            os.close(fd)
        subprocess.run(["ip", "netns", "del", self.name], check=False)
