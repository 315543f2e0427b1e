#!/usr/bin/env python3
"""The arithmetic of tests/browser/collect.py, on reports whose numbers are known beforehand."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../browser"))
import collect  # noqa: E402

REQUESTED = 1_700_000_000_000  # page clock, ms
COLUMNS = ["clock", "counter", "capture_us", "media_s", "current_s", "buffered_s", "presented"]
done = failed = 0


def ok(good, what):
    global done, failed
    done += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {done} - {what}")


def player(shown, seconds, **more):
    """A report in which shown(frame number) says how late that frame of a 30/s camera is in ms, None: not at all."""
    frames = []
    for n in range(seconds * 30):
        if (delay := shown(n)) is not None:
            at = REQUESTED + n * 1000 / 30 + delay
            frames.append([at, n, (at - delay) * 1000, 0, 0, 0, len(frames)])
    frames = sorted(row for row in frames if row[0] <= REQUESTED + seconds * 1000)
    return {"src": "/", "requested": REQUESTED, "stopped": REQUESTED + seconds * 1000, "skew": 0, "columns": COLUMNS,
            "frames": frames, "unreadable": [], "events": [], **more}


def late_then_cut(n):
    """A second of pictures 3.5 s late, then a cut to 0.4 s late, as after a join from history."""
    return 400 if n >= 126 else 3500 if n < 30 else None


steady = collect.summarise(player(lambda n: 300, 20))
ok(steady["first_picture_ms"] == 300 and steady["delay_ms"] == 300, "delay and first picture")
ok(steady["advance_per_s"] == 30 and 29.5 < steady["frames_per_s"] <= 30.1, "rates")
ok(steady["settled_ms"] == 300 and steady["freezes"] == 0, "settled from the first picture on, no freeze")

half = collect.summarise(player(lambda n: 300 if n % 2 else None, 20))
ok(half["advance_per_s"] == 30 and 14.5 < half["frames_per_s"] <= 15.1, "every second frame: half the frames")

slow = collect.summarise(player(lambda n: 100 + n * 2, 20))
ok(slow["advance_per_s"] < 29 and slow["settled_ms"] is None, "a delay that grows: slower than the camera, not settled")

joined = collect.summarise(player(late_then_cut, 20))
ok(4400 <= joined["settled_ms"] <= 4600, "a cut to the live edge: settled after it")

frozen = collect.summarise(player(lambda n: None if 240 <= n < 270 else 300, 20))
ok(frozen["freezes"] == 1 and 1000 < frozen["longest_freeze_ms"] < 1070, "one freeze of a second")
ok(9000 < frozen["settled_ms"] < 9500 and frozen["freezes_settled"] == 0, "a freeze unsettles")

ended = collect.summarise(player(lambda n: None if n >= 570 else 300, 20))
ok(ended["freezes"] == 1 and ended["settled_ms"] is None, "frozen at the end: a freeze, and not settled")

nothing = collect.summarise(player(lambda n: None, 20, unreadable=[REQUESTED + 5]))
ok(nothing["first_picture_ms"] is None and nothing["delay_ms"] is None, "no picture at all")
ok(nothing["crc_failures"] == 1, "an unreadable card is counted")

ok(collect.median([steady, nothing, joined])["delay_ms"] == 400, "the median of three")
ok(collect.median([steady, nothing])["delay_ms"] is None, "never is later than any time")

print(f"1..{done}")
sys.exit(failed != 0)
