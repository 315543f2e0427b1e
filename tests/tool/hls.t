#!/usr/bin/env python3
"""HLS as it is cut and listed, held against RFC 8216 by a checker that knows only the text (rfc8216.py).

First the checker itself: a sound playlist passes, and whatever is planted in it is found, under the section it
breaches. Then thousands of streams from hlssim, with cameras that change their rate, fall silent, start anew, forget
keyframes, have their clocks set, and programs that are started again: all of their playlists pass.

STREAMS: how many (default 1500). SEED: the first (default 1).
"""
import copy
import json
import os
import re
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, "tests/tool")
import rfc8216

HLSSIM = os.path.join(os.environ.get("BUILD", "build"), "tool/hlssim")
STREAMS = int(os.environ.get("STREAMS", "1500"))
SEED = int(os.environ.get("SEED", "1"))
CHUNK = 100  # streams to one hlssim
DATES = 1577836800 * 1000000  # 2020: before that a clock was never set
TARGET, LISTED, SEGMENTS, SECOND = 4, 4, 12, 1000000
BREAK = 6  # the segment that begins another epoch
done = failed = 0


def ok(good, what, *diagnostics):
    global done, failed
    done += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {done} - {what}")
    for text in diagnostics if not good else []:
        print(f"# {text}")


# A sound playlist, written here by hand

def entry(n, first):
    lines = ["#EXT-X-DISCONTINUITY"] if n == BREAK else []
    epoch = 1 + (n >= BREAK)
    if first or n == BREAK:
        lines.append(f'#EXT-X-MAP:URI="init-{epoch}.mp4"')
    return lines + [f"#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:{4 * n:02d}.000Z", "#EXTINF:4.000,", f"seg-{n}.m4s"]


def version(newest, listed=LISTED, kind=None, end=False):
    first = max(0, newest - listed + 1)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{TARGET}"]
    lines += [f"#EXT-X-PLAYLIST-TYPE:{kind}"] if kind else []
    lines += ["#EXT-X-INDEPENDENT-SEGMENTS", f"#EXT-X-MEDIA-SEQUENCE:{first}",
              f"#EXT-X-DISCONTINUITY-SEQUENCE:{int(first > BREAK)}"]
    for n in range(first, newest + 1):
        lines += entry(n, n == first)
    return "\n".join(lines + ["#EXT-X-ENDLIST"] * end) + "\n"


def fact(n):
    return {"segment": n, "scale": 1000, "start": 4000 * n, "end": 4000 * (n + 1), "epoch": 1 + (n >= BREAK),
            "bytes": 500000, "key": 1, "hole": 0, "joins": -1 if n in (0, BREAK) else 0,
            "utc": 1795341600 * SECOND + 4 * SECOND * n}


MASTER = ('#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=1000000,AVERAGE-BANDWIDTH=1000000,'
          'CODECS="avc1.42C01E",RESOLUTION=640x480,FRAME-RATE=30.000\nlive.m3u8\n')


def sound(**how):
    trace = []
    for n in range(SEGMENTS):
        at = (n + 1) * TARGET * SECOND
        trace += [fact(n), {"media": version(n, **how), "at": at}]
        if not how and n - LISTED - 5 >= 0:
            trace.append({"gone": n - LISTED - 5, "at": at + SECOND})
    return trace + [{"master": MASTER}]


# What is planted in it

def texts(trace):
    return [r for r in trace if "media" in r]


def replace(old, new, which=slice(None), count=-1):
    """In the text of these versions."""
    def plant(trace):
        for r in texts(trace)[which]:
            assert old in r["media"], old
            r["media"] = r["media"].replace(old, new, count)
    return plant


def resub(old, new, which=slice(None)):
    def plant(trace):
        for r in texts(trace)[which]:
            r["media"], n = re.subn(old, new, r["media"], flags=re.S)
            assert n, old
    return plant


def whole(make, which=-1):
    def plant(trace):
        r = texts(trace)[which]
        r["media"] = make(r["media"])
    return plant


def master(old, new):
    def plant(trace):
        assert old in MASTER
        trace[-1]["master"] = MASTER.replace(old, new)
    return plant


def known(n, **changed):
    def plant(trace):
        next(r for r in trace if r.get("segment") == n).update(changed)
    return plant


def moved(which, seconds):
    def plant(trace):
        texts(trace)[which]["at"] += int(seconds * SECOND)
    return plant


def both(*plants):
    def plant(trace):
        for p in plants:
            p(trace)
    return plant


def gone(n, seconds):
    def plant(trace):
        trace.append({"gone": n, "at": int(seconds * SECOND)})
    return plant


LAST = slice(-1, None)
LATER = slice(6, None)
INDEPENDENT = "#EXT-X-INDEPENDENT-SEGMENTS\n"
PLANTS = [
    ("4.1", "not UTF-8", whole(lambda t: t.encode() + b"#\xff\n")),
    ("4.1", "a byte order mark", replace("#EXTM3U", "\ufeff#EXTM3U", LAST)),
    ("4.1", "a control character", replace("seg-9", "seg-\x079", LAST)),
    ("4.1", "a letter in two characters", replace("init-", "e\u0301-", LAST)),
    ("4.1", "a blank in a tag", replace("TARGETDURATION:", "TARGETDURATION: ", LAST)),
    ("4.1", "a blank behind a URI", replace("seg-9.m4s", "seg-9.m4s ", LAST)),
    ("4.1", "a last line without an end", whole(lambda t: t[:-1])),
    ("4.1", "no playlist of any kind", whole(lambda t: "#EXTM3U\n")),
    ("4.1", "a master playlist in its place", whole(lambda t: MASTER)),
    ("4.2", "an attribute twice", resub(r'(URI="[^"]*")', r"\1,\1", LAST)),
    ("4.2", "a comma at the end of the attributes", resub(r'(URI="[^"]*")', r"\1,", LAST)),
    ("4.3.1.1", "something in front of EXTM3U", replace("#EXTM3U\n", "#EXT-X-VERSION:7\n#EXTM3U\n", LAST)),
    ("4.3.1.2", "two versions", replace("#EXT-X-VERSION:7\n", "#EXT-X-VERSION:7\n" * 2, LAST)),
    ("4.3.1.2", "no version", replace("#EXT-X-VERSION:7\n", "")),
    ("4.3.2.5", "version 5", replace("#EXT-X-VERSION:7\n", "#EXT-X-VERSION:5\n")),
    ("7", "version 2", replace("#EXT-X-VERSION:7\n", "#EXT-X-VERSION:2\n")),
    ("4.3.2", "tags without a segment", whole(lambda t: t + "#EXTINF:4.000,\n")),
    ("4.3.2.1", "no EXTINF", replace("#EXTINF:4.000,\nseg-9", "seg-9", LAST)),
    ("4.3.2.1", "an EXTINF without a comma", replace("4.000,\nseg-9", "4.000\nseg-9", LAST)),
    ("4.3.2.1", "an EXTINF that is no number", replace("4.000,\nseg-9", "4e0,\nseg-9", LAST)),
    ("4.3.2.1", "an EXTINF too short", resub(r"4\.000,\nseg-9\.", "3.900,\nseg-9.", slice(9, None))),
    ("4.3.3.1", "an EXTINF above the target", replace("4.000,\nseg-9", "4.500,\nseg-9", slice(9, None))),
    ("4.3.3.1", "no target duration", replace("#EXT-X-TARGETDURATION:4\n", "", LAST)),
    ("4.3.3.1", "half a target duration", replace("TARGETDURATION:4", "TARGETDURATION:4.5")),
    ("4.3.3", "two target durations", replace("#EXT-X-TARGETDURATION:4\n", "#EXT-X-TARGETDURATION:4\n" * 2)),
    ("4.3.3.2", "the sequence number behind a segment",
     resub(r"(#EXT-X-MEDIA-SEQUENCE:\d+\n)(.*?m4s\n)", r"\2\1", LAST)),
    ("4.3.3.3", "the discontinuity sequence behind a discontinuity",
     resub(r"(#EXT-X-DISCONTINUITY-SEQUENCE:\d+\n)(.*#EXT-X-DISCONTINUITY\n)", r"\2\1", slice(6, 7))),
    ("4.3.3.5", "a playlist type of its own", replace(INDEPENDENT, INDEPENDENT + "#EXT-X-PLAYLIST-TYPE:LIVE\n")),
    ("4.3.4", "a tag of the master playlist", master("#EXT-X-STREAM", "#EXT-X-ENDLIST\n#EXT-X-STREAM")),
    ("4.3.2.3", "another init segment without a discontinuity",
     both(replace("#EXT-X-DISCONTINUITY\n", "", slice(6, 10)), known(BREAK, joins=0))),
    ("4.3.2.3", "times that go back without a discontinuity", known(3, joins=-1)),
    ("4.3.2.3", "a hole of five seconds without a discontinuity", known(3, joins=5 * SECOND)),
    ("3", "a break inside a segment", known(3, hole=-1)),
    ("3.3", "no map", resub(r"#EXT-X-MAP[^\n]*\n", "", slice(2, 3))),
    ("3.3", "the other epoch's map", replace("init-2", "init-1", LATER)),
    ("4.3.2.5", "a map of nothing", resub(r"MAP:[^\n]*", 'MAP:URI=""', slice(2, 3))),
    ("4.3.2.6", "a date in no format", replace("TIME:2026-11-22T", "TIME:2026-11-22+", LAST)),
    ("4.3.2.6", "the 31st of November", replace("TIME:2026-11-22T", "TIME:2026-11-31T", LAST)),
    ("4.3.2.6", "a date a second off", known(3, utc=1795341600 * SECOND + 13 * SECOND)),
    ("6.2.1", "a date that was there before", replace("10:00:36", "10:00:30", slice(9, None))),
    ("4.3.5", "independent twice", replace(INDEPENDENT, 2 * INDEPENDENT)),
    ("4.3.5.1", "a segment that is not independent", known(3, key=0)),
    ("6.2.1", "independent again", replace(INDEPENDENT, "", slice(3, 5))),
    ("6.2.1", "independent no more, for no reason", replace(INDEPENDENT, "", slice(8, None))),
    ("6.2.1", "another target duration", replace("TARGETDURATION:4", "TARGETDURATION:5", LAST)),
    ("6.2.1", "another type", replace(INDEPENDENT, INDEPENDENT + "#EXT-X-PLAYLIST-TYPE:EVENT\n", LAST)),
    ("6.2.2", "a sequence number that goes back", resub(r"MEDIA-SEQUENCE:\d+", "MEDIA-SEQUENCE:1", LAST)),
    ("6.2.2", "a removal that is not counted", replace("MEDIA-SEQUENCE:8", "MEDIA-SEQUENCE:7", LAST)),
    ("6.2.2", "no sequence number", resub(r"#EXT-X-MEDIA-SEQUENCE:\d+\n", "", slice(3, None))),
    ("6.2.2", "a segment gone from the middle", resub(r"#EXT-X-PRO[^\n]*\n[^\n]*\nseg-9.m4s\n", "", slice(10, None))),
    ("6.2.2", "a segment gone from the end", resub(r"#EXT-X-PRO[^\n]*\n[^\n]*\nseg-(10|11).m4s\n", "", LAST)),
    ("6.2.2", "a discontinuity not counted", replace("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0", LAST)),
    ("6.2.2", "no discontinuity sequence", resub(r"#EXT-X-DISCONTINUITY-SEQUENCE:\d+\n", "")),
    ("6.2.2", "a discontinuity sequence that goes back",
     replace("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:2", slice(0, 4))),
    ("6.2.2", "two target durations left", whole(lambda t: version(SEGMENTS - 1, 2))),
    ("6.2.1", "the same segment of another length", replace("4.000,\nseg-9", "3.999,\nseg-9", LAST)),
    ("6.2.1", "another segment of the same name", replace("seg-11", "seg-3", LAST)),
    ("6.2.2", "fetched no more too soon after", gone(SEGMENTS - LISTED - 3, (SEGMENTS - 2) * TARGET + 19.9)),
    ("6.2.1", "fetched no more while listed", gone(SEGMENTS - 1, 1000)),
    ("6.2.1", "a version too soon", moved(5, -2.1)),
    ("6.2.1", "a version too late", moved(-1, 2.2)),
    ("6.2.1", "a version of nothing new", lambda t: t.insert(-1, dict(texts(t)[-1], at=(SEGMENTS + 1) * 4 * SECOND))),
    ("6.2.1", "a version behind the end", whole(lambda t: t + "#EXT-X-ENDLIST\n", -2)),
    ("4.3.4.2", "no bandwidth", master("BANDWIDTH=1000000,AV", "AV")),
    ("4.3.4.2", "too little bandwidth", master(":BANDWIDTH=1000000", ":BANDWIDTH=999999")),
    ("4.3.4.2", "too little on average", master("AVERAGE-BANDWIDTH=1000000", "AVERAGE-BANDWIDTH=999999")),
    ("4.3.4.2", "no media playlist", master("live.m3u8\n", "")),
    ("4.3.4.2", "a size that is none", master("640x480", "640")),
    ("4.3.4.2", "a rate that is none", master("30.000", "30fps")),
    ("4.3.4.2", "codecs without quotes", master('"avc1.42C01E"', "avc1.42C01E")),
    ("4.3.5", "independent in the master only",
     both(replace(INDEPENDENT, ""), master("#EXT-X-STREAM", INDEPENDENT + "#EXT-X-STREAM"))),
]
OTHER_KINDS = [
    ("6.2.1", "an EVENT that loses a segment", "EVENT", whole(lambda t: version(SEGMENTS - 1, 6, "EVENT"))),
    ("6.2.1", "a VOD that changes", "VOD", lambda t: None),
]


def try_checker():
    faults = rfc8216.check(sound())
    ok(not faults, "a sound playlist has no fault", *faults)
    event = {"listed": SEGMENTS, "kind": "EVENT"}
    faults = rfc8216.check(sound(**event))
    ok(not faults, "nor has one of type EVENT", *faults)
    for section, what, plant in PLANTS:
        trace = copy.deepcopy(sound())
        plant(trace)
        found(section, what, rfc8216.check(trace))
    for section, what, kind, plant in OTHER_KINDS:
        trace = sound(listed=SEGMENTS, kind=kind)
        plant(trace)
        found(section, what, rfc8216.check(trace))


def found(section, what, faults):
    match = [f for f in faults if f.startswith(section + ": ")]
    ok(match, f"planted: {section}: {what}", *faults)


# Streams that never were

def streams():
    """[(seed, records)]"""
    for first in range(SEED, SEED + STREAMS, CHUNK):
        count = min(CHUNK, SEED + STREAMS - first)
        out = subprocess.run([HLSSIM, str(first), str(count)], stdout=subprocess.PIPE, check=True).stdout
        records = []
        for line in out.splitlines():
            records.append(json.loads(line))
            if "done" in records[-1]:
                yield records[-1]["done"], records
                records = []


def count(records, seen):
    """What this stream had in it: a test of nothing would pass as well."""
    versions = [r["media"] for r in records if "media" in r]
    facts = [r for r in records if "segment" in r]
    for name, n in (("versions", len(versions)), ("segments", len(facts)),
                    ("not independent", sum(not f["key"] for f in facts)),
                    ("dated", len(set(re.findall("TIME:.*", "".join(versions))))),
                    ("clocks not set", sum(0 < f["utc"] < DATES for f in facts)),
                    ("restarts", records[-1]["restarts"]),
                    ("discontinuities", len({m for v in versions for m in re.findall(r"TY\n(?:.*\n){1,3}seg.*", v)})),
                    ("epochs", len({f["epoch"] for f in facts}) - 1),
                    ("removed", max(0, len({re.search(r"SEQUENCE:(\d+)", v)[1] for v in versions}) - 1)),
                    ("fetched no more", sum("gone" in r for r in records)),
                    ("batches", sum(len(re.findall("m4s", b)) > len(re.findall("m4s", a)) + 1
                                    for a, b in zip(versions, versions[1:]))),
                    ("EVENT", "TYPE:EVENT" in versions[0] if versions else 0),
                    ("VOD", "TYPE:VOD" in versions[0] if versions else 0),
                    ("ended", "ENDLIST" in versions[-1] if versions else 0),
                    ("dates withheld", sum(f["utc"] > DATES and f"-{f['segment']}.m4s" in dateless(versions)
                                            for f in facts)),
                    ("holes listed over", sum(0 < f["hole"] or 0 < f["joins"] < SECOND for f in facts))):
        seen[name] = seen.get(name, 0) + n


def dateless(versions):
    return "".join(re.findall(r"(?:DISCONTINUITY|\.mp4\"|m4s)\n#EXTINF.*\n(seg-.*)", "".join(versions)))


def try_streams():
    bad, dependent, too_long, seen = [], [], [], {}
    for seed, records in streams():
        bad += [f"seed {seed}: {fault}" for fault in rfc8216.check(records)]
        count(records, seen)
        end = records[-1]
        if end["regular"]:
            dependent += [f"seed {seed}: segment {r['segment']}" for r in records if not r.get("key", 1)]
        if end["calm"]:
            too_long += [f"seed {seed}: {r}" for r in records if r.get("held", 0) > r.get("hold", 0)]
    ok(not bad, f"{STREAMS} streams: no playlist breaches RFC 8216", *bad[:20])
    ok(not dependent, "where a camera keeps its promise, every segment is independent", *dependent[:20])
    ok(not too_long, "a ring of the size that is asked for holds every segment to its last moment", *too_long[:20])
    print("# " + ", ".join(f"{name}: {n}" for name, n in seen.items()))
    least = STREAMS // 100
    ok(all(n >= least for n in seen.values()), f"each of these at least {least} times")


try_checker()
try_streams()
print(f"1..{done}")
sys.exit(failed > 0)
