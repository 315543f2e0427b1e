"""Players that can be watched: programs that say a line for every picture, and browsers with a page that reports."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from pipeline import BUILD, ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(ROOT, "tests/browser"))
from collect import Collector  # noqa: E402

HLSJS = "1.7.4"
START_S = 4  # what a browser and its page take, before it asks for anything
REPORT_S = 60  # and for its report, on a busy machine


class NotHere(Exception):
    """Why a player can't be run."""


def packages(*names):
    run = subprocess.run([os.path.join(ROOT, "scripts/packages"), *names], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if run.returncode:
        raise NotHere(run.stderr.decode(errors="replace").strip().splitlines()[-1])


def hlsjs():
    """The files of a page with hls.js. The library is fetched once, into the build directory."""
    kept = os.path.join(BUILD, f"players/hls.js-{HLSJS}/hls.min.js")
    if not os.path.exists(kept):
        if not shutil.which("npm"):
            raise NotHere("no npm to fetch hls.js with")
        with tempfile.TemporaryDirectory() as directory:
            got = subprocess.run(["npm", "pack", "--silent", f"hls.js@{HLSJS}"], cwd=directory, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
            if got.returncode:
                raise NotHere(f"npm: hls.js {HLSJS} is not to be had")
            subprocess.run(["tar", "-xzf", f"hls.js-{HLSJS}.tgz", "package/dist/hls.min.js"], cwd=directory, check=True)
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            shutil.copy(os.path.join(directory, "package/dist/hls.min.js"), kept + ".part")
            os.rename(kept + ".part", kept)
    return [kept, os.path.join(HERE, "hlsjs.html"), os.path.join(HERE, "hlsjs.js")]


class Program:
    """A player that says a line for every picture (cells.py)."""
    lead = 0
    www = ()

    def __init__(self, needs, *command, path="/cam/stream.m3u8", known=None):
        self.needs, self.command, self.path, self.known = needs, command, path, known

    def prepare(self):
        packages(*self.needs)

    def play(self, pipeline, seconds, directory):
        """Frames, when it was asked to play and when it ended, and what it complained of."""
        requested, frames, complaints = time.time() * 1000, [], []
        with open(os.path.join(directory, "said"), "w+", encoding="utf-8", errors="replace") as said:
            player = subprocess.Popen([os.path.join(HERE, self.command[0]), *self.command[1:],
                                       pipeline.url + self.path], stdout=subprocess.PIPE, stderr=said,
                                      env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, start_new_session=True)
            timer = threading.Timer(seconds, lambda: os.killpg(player.pid, signal.SIGKILL))
            timer.daemon = True
            timer.start()
            try:
                for line in player.stdout:
                    words = line.decode().split()
                    if words[1:] == ["unreadable"]:
                        complaints.append("a picture that cannot be read")
                    elif len(words) == 4:
                        frames.append((float(words[0]), int(words[1]), int(words[2]), words[3]))
                ended = time.time() * 1000
                if ended < requested + (seconds - 1) * 1000:
                    complaints.append(f"ended after {(ended - requested) / 1000:.0f} s")
                    ended = requested + seconds * 1000
            finally:
                timer.cancel()
                try:
                    os.killpg(player.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                player.wait()
            said.seek(0)
            complaints += [line for line in said.read().splitlines() if line.strip()]
        return frames, requested, ended, complaints


class Page:
    """A browser with a page that reports what it has shown (tests/browser)."""
    lead = START_S
    known = None
    www = ()

    def __init__(self, needs, browser, page, www=tuple, path="/cam/stream.m3u8", query=""):
        self.needs, self.browser, self.page, self.files, self.query = needs, browser, page, www, f"src={path}{query}"

    def prepare(self):
        packages(*self.needs)
        self.www = self.files()

    def report(self, url, seconds, directory):
        kept = os.path.join(directory, "report")
        play = subprocess.Popen([os.path.join(ROOT, "tests/browser/play"), "-k", kept, self.browser, url, str(seconds)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            said = play.communicate()[1].decode(errors="replace").strip()
        finally:
            if play.poll() is None:  # ended as by a person, it ends its browser
                play.send_signal(signal.SIGINT)
                play.wait()
        if play.returncode:
            raise NotHere(said)
        with open(kept, encoding="utf-8") as f:
            return json.loads(f.read().splitlines()[-1])  # behind those of earlier runs

    def play(self, pipeline, seconds, directory):
        report = self.report(f"{pipeline.url}/{self.page}?{self.query}", seconds, directory)
        player = report["players"][0]
        sizes = [(0, "")] + [(event[0], event[3]) for event in player["events"] if event[1] == "resize"]
        frames = []
        for row in player["frames"]:
            shown = dict(zip(player["columns"], row))
            size = [size for when, size in sizes if when <= shown["clock"] + 100][-1]
            frames.append((shown["clock"], shown["counter"], shown["capture_us"], size))
        complaints = [f"error: {event[4]}" for event in player["events"] if event[1] == "error"]
        complaints += ["a picture that cannot be read"] * len(player["unreadable"])
        return frames, player["requested"], player["stopped"], complaints


class WebKit(Page):
    """The same in a window of WebKitGTK's, on a screen in memory. HLS of its own is an option there, which is off."""
    def report(self, url, seconds, directory):
        collector = Collector()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, \
                open(os.path.join(directory, "said"), "wb") as said:
            window = subprocess.Popen(["xvfb-run", "-a", os.path.join(HERE, "webkit"),
                                       f"{url}&seconds={seconds}&report={collector.url}"],
                                      env={**os.environ, "HOME": home, "XDG_RUNTIME_DIR": home,
                                           "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
                                           "WEBKIT_GST_ENABLE_HLS_SUPPORT": "1"},
                                      stdout=said, stderr=said, start_new_session=True)
            try:
                report = collector.wait(seconds + REPORT_S)
            finally:
                for sign in (signal.SIGTERM, signal.SIGKILL):
                    try:
                        os.killpg(window.pid, sign)
                        time.sleep(1)
                    except ProcessLookupError:
                        pass
                window.wait()
        if report is None:
            raise NotHere("WebKitGTK: no report")
        return report
