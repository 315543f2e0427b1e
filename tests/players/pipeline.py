"""A camera, its muxer, a ring and a server, with the pipe between the first two held open across restarts of either,
as the appliance's supervisor does it; and what a player that has watched it got."""
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tool"))
from live import BUILD, FANOUT, H264FMP4, ROOT, TESTCARD, free_port, wait_for  # noqa: E402

RINGPUT = os.path.join(BUILD, "ringput")
FIRST, THEN = "640x480", "1280x720"
PAUSE_MS = 500  # a picture that stands longer is a pause
LATE_MS = 2500  # how soon before the end the last new picture must have come; a segment's, of a decoder


class Pipeline:
    def __init__(self, www=(), size=FIRST, rate="30"):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = tempfile.mkdtemp(dir=memory)
        os.chmod(self.dir, 0o755)
        self.www = os.path.join(self.dir, "www")
        shutil.copytree(os.path.join(ROOT, "service/www"), self.www)
        for path in [os.path.join(ROOT, "tests/browser", name) for name in ("watch.html", "watch.js")] + list(www):
            shutil.copy(path, self.www)
        self.env = {**os.environ, "FMP4STREAMER_RINGS": self.dir}
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        self.out, self.into = os.pipe()
        self.port, self.rate = free_port(), rate
        self.url = f"http://127.0.0.1:{self.port}"
        self.size = size
        self.muxer = self.start_muxer()
        self.camera = self.start_camera()
        self.server = self.start(FANOUT, "-l", f"127.0.0.1:{self.port}", "-w", self.www, "cam")

    def start(self, *args, **how):
        return subprocess.Popen(args, env=self.env, stderr=self.log, **{"stdin": subprocess.DEVNULL, **how})

    def start_camera(self):
        return self.start(TESTCARD, "-s", self.size, "-r", self.rate, "-g", self.rate, stdout=self.into)

    def start_muxer(self):
        return self.start(RINGPUT, "cam", H264FMP4, stdin=self.out)

    def restart(self):
        """The camera's program and the muxer are killed, and started anew. Returns when, in ms since 1970."""
        with open(f"/proc/{self.muxer.pid}/task/{self.muxer.pid}/children", encoding="ascii") as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        self.camera.kill()
        self.camera.wait()
        self.muxer.wait()
        self.muxer, self.camera = self.start_muxer(), self.start_camera()
        return time.time() * 1000

    def resize(self, size=THEN):
        """The camera begins anew, with another size. Returns when."""
        self.camera.terminate()
        self.camera.wait()
        self.size = size
        self.camera = self.start_camera()
        return time.time() * 1000

    def listed(self):
        """How many segments the playlist lists."""
        try:
            with urllib.request.urlopen(self.url + "/cam/live.m3u8", timeout=15) as answer:
                return answer.read().count(b"#EXTINF")
        except OSError:
            return 0

    def warm(self, segments):
        return wait_for(lambda: self.listed() >= segments, 40)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self):
        for process in (self.server, self.camera, self.muxer):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for fd in (self.out, self.into):
            os.close(fd)
        self.log.close()
        shutil.rmtree(self.dir)


def part(frames, since, until):
    """The median delay of the second half of a time, in ms, or None when nothing new was seen."""
    delays = [clock - capture / 1000 for clock, _, capture, _ in frames if (since + until) / 2 <= clock < until]
    return round(statistics.median(delays)) if delays else None


def judge(frames, requested, ended, restarted, resized):
    """What one player got, of its frames (when shown in ms since 1970, counter, capture time in us, size)."""
    fresh = [f for f in frames if f[2] / 1000 > restarted]
    wide = [f for f in frames if f[2] / 1000 > resized and f[3].split("x")[0] == THEN.split("x")[0]]
    pauses = [b[0] - a[0] for a, b in zip(frames, frames[1:]) if b[0] - a[0] > PAUSE_MS]
    return {
        "first_ms": round(frames[0][0] - requested) if frames else None,
        "delays_ms": [part(frames, requested, restarted), part(frames, restarted, resized), part(frames, resized, ended)],
        "pauses": len(pauses), "longest_ms": round(max(pauses, default=0)),
        "frames": len(frames),
        "through": bool(fresh and wide) and ended - frames[-1][0] < LATE_MS + 2 * max(pauses, default=0),
        "after_restart": bool(fresh), "after_resize": bool(wide),
    }
