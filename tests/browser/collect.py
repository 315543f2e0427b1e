#!/usr/bin/env python3
"""Turns watch.js reports into numbers: one JSON line per player.

As a program: collect.py < FILE, a report a line, as `play -k FILE` keeps them. Times are in milliseconds
from the player's request unless the name says otherwise; null means it never happened.

  first_picture_ms   request -> first readable frame
  settled_ms         from here to the end the median delay of every half second is at most 600 ms
  delay_ms           capture -> shown, median of the steady part (the last 10 s, of a short run the last two thirds)
  delay_p95_ms       95th percentile of the same
  advance_per_s      how fast the frame counter runs in the steady part; the camera's rate unless delay drifts
  frames_per_s       different frames seen in the steady part, per second
  presented_per_s    frames the browser says it presented there; where it is more, the page was too slow to look
  run_advance_per_s  counter advance over the whole run, the cut to the live edge at the start included
  freezes            times no new frame came for over 200 ms after the first; freezes_settled: of those after settling
  backwards          times an older frame followed a newer one
  skew_ms            page clock minus wall clock at the end: an error in every delay
"""
import http.server
import json
import queue
import statistics
import sys
import threading

SETTLED_MS = 600
WINDOW_MS, WINDOW_STEP_MS, WINDOW_FRAMES = 500, 250, 5
STEADY_MS = 10_000
FREEZE_MS = 200


class Frame:
    """One frame a player showed, `at` ms after its request."""

    def __init__(self, player, values):
        row = dict(zip(player["columns"], values))
        self.at = row["clock"] - player["requested"]
        self.counter = row["counter"]
        self.delay = row["clock"] - row["capture_us"] / 1000
        self.presented = row["presented"]


def settled(frames, end):
    """The start of the unbroken row of good half seconds that reaches the end, or None."""
    since, start = None, frames[0].at if frames else end
    while start + WINDOW_MS <= end:
        delays = [f.delay for f in frames if start <= f.at < start + WINDOW_MS]
        if len(delays) < WINDOW_FRAMES or statistics.median(delays) > SETTLED_MS:
            since = None
        elif since is None:
            since = start
        start += WINDOW_STEP_MS
    return since


def freezes(frames, end):
    """[(at, length)] of the pauses over FREEZE_MS, a last one up to the end included."""
    times = [f.at for f in frames] + [end]
    return [(a, b - a) for a, b in zip(times, times[1:]) if b - a > FREEZE_MS]


def per_second(frames, value):
    """How fast value(frame) grows: the slope over all frames, as the first and last alone carry a frame's jitter."""
    if len(frames) < 2 or value(frames[0]) is None:
        return None
    return 1000 * statistics.linear_regression([f.at for f in frames], [value(f) for f in frames]).slope


def rounded(value, digits=0):
    return None if value is None else round(value, digits or None)


def summarise(player):
    """The summary of one player as a dict; the keys are explained at the top."""
    end = player["stopped"] - player["requested"]
    frames = [Frame(player, values) for values in player["frames"]]
    steady_ms = min(STEADY_MS, end * 2 / 3)
    steady = [f for f in frames if f.at >= end - steady_ms]
    delays = sorted(f.delay for f in steady)
    pauses = freezes(frames, end)
    settled_at = settled(frames, end)
    names = [event[1] for event in player["events"]]
    counters = [f.counter for f in frames]
    return {
        "src": player["src"],
        "seconds": round(end / 1000, 1),
        "first_picture_ms": rounded(frames[0].at) if frames else None,
        "settled_ms": rounded(settled_at),
        "delay_ms": rounded(statistics.median(delays)) if delays else None,
        "delay_p95_ms": rounded(delays[len(delays) * 95 // 100]) if delays else None,
        "advance_per_s": rounded(per_second(steady, lambda f: f.counter), 2),
        "frames_per_s": round(1000 * len(set(f.counter for f in steady)) / steady_ms, 2),
        "presented_per_s": rounded(per_second(steady, lambda f: f.presented), 2),
        "run_advance_per_s": rounded(per_second(frames, lambda f: f.counter), 2),
        "frames": len(frames),
        "crc_failures": len(player["unreadable"]),
        "freezes": len(pauses),
        "freezes_settled": None if settled_at is None else sum(at >= settled_at for at, _ in pauses),
        "longest_freeze_ms": rounded(max((length for _, length in pauses), default=0)),
        "backwards": sum(b < a for a, b in zip(counters, counters[1:])),
        "waiting": names.count("waiting"),
        "durationchanges": names.count("durationchange"),
        "sizes": list(dict.fromkeys(event[3] for event in player["events"] if event[1] == "resize")),
        "errors": [event[4] for event in player["events"] if event[1] == "error"],
        "skew_ms": round(player["skew"], 1),
    }


def median(summaries):
    """The median of every number over several runs; "never" (None) counts as later than everything."""
    never = float("inf")
    result = {"median_of": len(summaries)}
    for key in summaries[0]:
        values = [never if s[key] is None else s[key] for s in summaries]
        if all(isinstance(value, (int, float)) for value in values):
            middle = statistics.median_high(values)
            result[key] = None if middle == never else middle
    return result


class Collector:
    """Listens on a loopback port of the kernel's choice for the reports of one page after the other."""

    def __init__(self):
        reports = self.reports = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                reports.put(json.loads(body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, seconds):
        """The next report, or None when none comes in time."""
        try:
            return self.reports.get(timeout=seconds)
        except queue.Empty:
            return None


if __name__ == "__main__":
    for line in sys.stdin:
        for watched in json.loads(line)["players"]:
            print(json.dumps(summarise(watched)))
