"""A relay of TCP that adds ticks to every decode time of a live stream, as if it had been running for so long."""
import socket
import threading

TAKEN = 64 << 10  # bytes at a time


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


class Line:
    """Listens on a port of the kernel's choice, Line.port."""

    def __init__(self, server, shift):
        self.server, self.shift = server, shift
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.server)
            for s in near, far:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(near, far, lambda data: data), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, Shift(self.shift).feed), daemon=True).start()

    @staticmethod
    def carry(source, sink, change):
        try:
            while data := source.recv(TAKEN):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()

    def close(self):
        self.listener.close()
