"""An appliance under test: fmp4streamer with a configuration, in directories of its own."""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from live import BUILD, ROOT, SLOW, free_port, head, read_head, wait_for

FMP4STREAMER = os.path.join(BUILD, "fmp4streamer")
SLOT_AT, SLOTS = 4096, 4096
memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def name_of(pid):
    """What a process is called: its program, and what a supervisor supervises; None when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            args = f.read().decode().split("\0")
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None
    if state == "Z":
        return f"zombie {pid}"
    base = os.path.basename(args[0])
    return f"{base} {args[1]}" if base == "s6-supervise" else base


def watch_data():
    """The installed data with the watching page beside the product's own, in a directory that anybody may read."""
    directory = tempfile.mkdtemp()
    os.chmod(directory, 0o755)
    shutil.copytree(os.path.join(ROOT, "service"), directory, dirs_exist_ok=True)
    for name in ("watch.html", "watch.js"):
        shutil.copy(os.path.join(ROOT, "tests/browser", name), os.path.join(directory, "www"))
    return directory


class Appliance:
    """fmp4streamer with a configuration, in directories of its own."""
    def __init__(self, conf, noexec=False, size=None, said=None, data=os.path.join(ROOT, "service"), port=None,
                 wait=True):
        self.dir = tempfile.mkdtemp(dir=memory)
        self.run, self.rings = os.path.join(self.dir, "run"), os.path.join(self.dir, "rings")
        os.mkdir(self.run)
        os.mkdir(self.rings)
        self.mounted = (noexec or size) and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"noexec,size={size or '1m'}", "none", self.run],
            capture_output=True).returncode == 0
        self.port, self.wait = port or free_port(), wait
        self.conf = os.path.join(self.dir, "a.conf")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f"[server]\nlisten = 127.0.0.1\nport = {self.port}\n" + conf)
        self.env = {**os.environ, "FMP4STREAMER_RUN": self.run, "FMP4STREAMER_RINGS": self.rings,
                    "FMP4STREAMER_DATA": data, "FMP4STREAMER_STATE": os.path.join(self.dir, "state"),
                    "FMP4STREAMER_ONE_USER": "1"}
        self.said_path, self.said_fd = os.path.join(self.dir, "said"), said
        self.start()

    def start(self):
        with open(self.said_path, "a", encoding="utf-8") as f:
            self.process = subprocess.Popen([FMP4STREAMER, "-c", self.conf], env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=f if self.said_fd is None else self.said_fd)
        self.printed = []
        while self.wait and (not self.printed or not self.printed[-1].startswith("fmp4streamer: http:")):
            self.printed.append(self.process.stdout.readline().decode())
            if not self.printed[-1]:
                break
        self.told = "".join(self.printed[-1:])

    def said(self):
        with open(self.said_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def pids(self):
        """Every process that was started with this run directory in its environment, wherever it is now."""
        mark, found = f"FMP4STREAMER_RUN={self.run}".encode(), {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
            except OSError:
                continue
            name = name_of(pid)
            if name:
                found[int(pid)] = name
        return found

    def names(self):
        return sorted(self.pids().values())

    def pid(self, name):
        return next((pid for pid, found in self.pids().items() if found == name), None)

    def slots(self):
        """How many viewers' slots are taken in cam0's control file."""
        taken, at = 0, 0
        with open(os.path.join(self.rings, "cam0.ctl"), "rb+") as f:
            while at < SLOTS:
                want = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, SLOT_AT + at, SLOTS - at, 0)
                kind, _, start, length, _ = struct.unpack("hhqqi4x", fcntl.fcntl(f, 36, want))  # F_OFD_GETLK
                if kind == fcntl.F_UNLCK:
                    break
                taken, at = taken + 1, start - SLOT_AT + max(length, 1)
        return taken

    def open_files(self, name):
        return len(os.listdir(f"/proc/{self.pid(name)}/fd"))

    def cpu(self):
        """Seconds of processor time of the whole tree so far, as far as it still runs."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def request(self, target="/raw.mp4", timeout=10):
        """A socket, and what read_head() made of the answer; tried again until there is one."""
        end = time.monotonic() + timeout * SLOW
        while True:
            try:
                s = socket.create_connection(("127.0.0.1", self.port), timeout=5 * SLOW)
                s.sendall(head(target))
                answer = read_head(s)
                if answer[0]:
                    return s, answer
                s.close()
            except OSError:
                pass
            if time.monotonic() > end:
                raise TimeoutError(target)
            time.sleep(0.01)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(30 * SLOW)
        self.process.stdout.close()
        return status

    def remove(self):
        self.stop(signal.SIGKILL)
        wait_for(lambda: not self.pids(), 15)
        if self.mounted:
            subprocess.run(["umount", self.run], check=True)
        shutil.rmtree(self.dir)


class Viewer(threading.Thread):
    """Reads /raw.mp4 on one connection for as long as it lasts; knows when fragments came."""
    def __init__(self, appliance):
        super().__init__(daemon=True)
        self.s, (_, _, self.data) = appliance.request()
        self.times, self.ended = [], False
        self.s.settimeout(60)
        self.start()

    def run(self):
        try:
            while got := self.s.recv(1 << 20):
                self.times.append(time.monotonic())
                self.data += got
        except OSError:
            pass
        self.ended = True

    def forget(self):
        """What came is not kept; for those who watch for long."""
        self.data, self.times = b"", self.times[-1000:]

    def since(self, when):
        return next((t for t in reversed(self.times) if t > when), None)

    def close(self):
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join()
        self.s.close()


def longest(times, when):
    """The longest pause a viewer had from just before `when` on, once it is over."""
    after = [t for t in times if t > when - 0.3]
    return max((b - t for t, b in zip(after, after[1:])), default=0)
