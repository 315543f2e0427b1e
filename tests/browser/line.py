"""A network between a browser and a server on this machine: a relay of TCP that has a delay, jitter, a rate and
stalls. What it holds is bounded, as what is on its way in a network is; what is more stays with the server.

It ends TCP on both sides: there is no loss, no slow start, and no head of line but its own order.
"""
import collections
import random
import selectors
import socket
import threading
import time

ROOM = 256 << 10  # bytes on their way in one direction
TAKEN = 64 << 10  # at a time
SOCKET_ROOM = 32 << 10  # of the relay's own socket buffers, so that they hide nothing
TICK = 0.002


class Shift:
    """Adds ticks to every tfdt of an answer that is fragmented MP4 to its end (14496-12 8.8.12)."""

    def __init__(self, ticks):
        self.ticks, self.held, self.passing, self.head = ticks, b"", 0, True

    def feed(self, data):
        """What may go on by now. Held back are heads of boxes, and whole moofs, until they are complete."""
        out, self.held = b"", self.held + data
        while self.held:
            if self.passing:
                piece, self.held = self.held[:self.passing], self.held[self.passing:]
                self.passing -= len(piece)
                out += piece
                continue
            if self.head:
                end = self.held.find(b"\r\n\r\n") + 4
                if end == 3:
                    break
                self.passing = end if b"video/mp4" in self.held[:end] else 1 << 62
                self.head = False
                continue
            size = int.from_bytes(self.held[:4], "big")
            if len(self.held) < 8 or self.held[4:8] == b"moof" and len(self.held) < size:
                break
            if self.held[4:8] == b"moof":
                at = self.held.index(b"tfdt") + 8
                time_ = int.from_bytes(self.held[at:at + 8], "big") + self.ticks
                self.held = self.held[:at] + time_.to_bytes(8, "big") + self.held[at + 8:]
            self.passing = size
        return out


class Way:
    """One direction of one connection."""

    def __init__(self, line, source, sink, shift=None):
        self.line, self.source, self.sink, self.shift = line, source, sink, shift
        self.pieces = collections.deque()  # (when due, bytes)
        self.held, self.last, self.ended, self.over = 0, 0.0, False, False

    def take(self, now):
        while not self.ended and self.held < ROOM:
            try:
                data = self.source.recv(min(TAKEN, ROOM - self.held))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            if self.shift:
                data = self.shift.feed(data)
            # What is behind does not overtake.
            self.last = max(self.last, now + self.line.lag())
            self.pieces.append((self.last, data))
            self.held += len(data)

    def give(self, now):
        while self.pieces and self.pieces[0][0] <= now:
            due, data = self.pieces[0]
            allowed = self.line.allowance(now)
            if not allowed:
                return
            try:
                sent = self.sink.send(data[:allowed])
            except BlockingIOError:
                return
            except OSError:
                self.ended = self.over = True
                self.pieces.clear()
                return
            self.line.spend(sent)
            self.held -= sent
            if sent < len(data):
                self.pieces[0] = (due, data[sent:])
            else:
                self.pieces.popleft()
        if self.ended and not self.pieces and not self.over:
            self.over = True
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass


class Line:
    """Listens on a port of the kernel's choice; Line.port. Times in seconds, the rate in bits a second.

    delay: one way. jitter: up to so much more, evenly. hiccup: one piece in a hundred so much later.
    shift: ticks that are added to each time in a live stream.
    """

    def __init__(self, server_port, delay=0.0, jitter=0.0, hiccup=0.0, rate=0, shift=0):
        self.server_port, self.shift = server_port, shift
        self.delay, self.jitter, self.hiccup, self.rate = delay, jitter, hiccup, rate
        self.stalled_until = 0.0
        self.budget, self.at = 0.0, time.monotonic()
        self.random = random.Random(1)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.pairs = []  # (way, way)
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def lag(self):
        late = self.hiccup if self.hiccup and self.random.random() < 0.01 else 0.0
        return self.delay + self.random.uniform(0, self.jitter) + late

    def allowance(self, now):
        if now < self.stalled_until:
            return 0
        if not self.rate:
            return TAKEN
        self.budget = min(self.budget + (now - self.at) * self.rate / 8, self.rate / 8 * 0.05)
        self.at = now
        return int(self.budget)

    def spend(self, sent):
        self.budget -= sent

    def stall(self, seconds):
        """From now on nothing arrives for so long."""
        self.stalled_until = time.monotonic() + seconds

    def close(self):
        self.ending = True
        self.thread.join(5)

    def accept(self):
        try:
            near, _ = self.listener.accept()
        except BlockingIOError:
            return
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_ROOM)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_ROOM)
        try:
            far.connect(("127.0.0.1", self.server_port))
        except OSError:
            near.close()
            return
        for s in near, far:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, s)
        shift = Shift(self.shift) if self.shift else None
        self.pairs.append((Way(self, far, near, shift), Way(self, near, far)))

    def run(self):
        """Waits for something to come; while something is on its way, looks every TICK."""
        while not self.ending:
            busy = any(w.pieces for pair in self.pairs for w in pair)
            full = {w.source for pair in self.pairs for w in pair if w.ended or w.held >= ROOM}
            if busy and full:
                time.sleep(TICK)
            else:
                for key, _ in self.selector.select(TICK if busy else 0.1):
                    if key.data is None:
                        self.accept()
            now = time.monotonic()
            for pair in self.pairs:
                for way in pair:
                    way.take(now)
                    way.give(now)
            for pair in [p for p in self.pairs if p[0].over or (p[0].ended and p[1].ended)]:
                self.drop(pair)
        for pair in list(self.pairs):
            self.drop(pair)
        self.selector.close()
        self.listener.close()

    def drop(self, pair):
        self.pairs.remove(pair)
        for way in pair:
            self.selector.unregister(way.source)
            way.source.close()
