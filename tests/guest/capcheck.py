#!/usr/bin/env python3
"""usage: capcheck.py same SOURCE OUTPUT   how v4l2cap's output follows the file a camera plays
       capcheck.py times OUTPUT TRACE   whether its capture times are those strace saw the driver give
       capcheck.py mp4 OUTPUT FILE      whether an MP4 file of it has its times
       capcheck.py stamps OUTPUT        discontinuities, and the longest step in seconds"""
import re
import subprocess
import sys

AUD = b"\0\0\0\1\x09\xf0"
STAMP = b"\0\0\0\1\x06\x05\x1cMISPmicrosectime"


def units(stream):
    """The access units behind delimiters, each (what the camera sent, capture time, status)."""
    found = []
    parts = stream.split(AUD)
    if parts[0] or parts[-1]:
        sys.exit("does not begin and end with a delimiter")
    for unit in parts[1:-1]:
        at = unit.find(STAMP)
        if at < 0 or unit.count(STAMP) != 1:
            sys.exit("an access unit without one capture time")
        end = unit.index(b"\0\0\0\1", at + 4)
        body = unit[at + len(STAMP):end].replace(b"\0\0\3", b"\0\0")
        time = int.from_bytes(body[1:3] + body[4:6] + body[7:9] + body[10:12], "big")
        found.append((unit[:at] + unit[end:], time, body[0]))
    return found


def is_key(unit):
    return b"\0\0\1\x65" in unit


def same(source, output):
    """Units that are the source's, those that are none, and of the jumps those that land on no keyframe."""
    place = {unit: n for n, (unit, _, _) in enumerate(units(source))}
    out = [unit for unit, _, _ in units(output)]
    strange = [unit for unit in out if unit not in place]
    known = [unit for unit in out if unit in place]
    jumps = [b for a, b in zip(known, known[1:]) if place[b] != (place[a] + 1) % len(place)]
    begins = known and place[known[0]] == 0
    print(f"units {len(out)} strange {len(strange)} jumps {len(jumps)} broken {sum(not is_key(u) for u in jumps)}"
          f"{'' if begins else ' begins elsewhere'}")


def times(output, trace):
    driver = [int(s) * 1000000 + int(us) for s, us in re.findall(r"VIDIOC_DQBUF.*?timestamp=\{tv_sec=(\d+), tv_usec=(\d+)\}", trace)]
    stamped = [us for _, us, _ in units(output)]
    offsets = {a - b for a, b in zip(stamped, driver)}
    print(f"times {len(stamped)} offsets {len(offsets)}")


def mp4(output, file):
    stamped = [us for _, us, _ in units(output)]
    probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts", "-of", "csv=p=0", file],
                           stdout=subprocess.PIPE, check=True)
    ticks = sorted(int(line.strip(b",")) for line in probe.stdout.split())
    off = [abs((us - stamped[0]) * 9 / 100 - tick) for us, tick in zip(stamped, ticks)]
    print(f"times {len(ticks)} equal {sum(d <= 1 for d in off)}")


def stamps(output):
    found = units(output)
    steps = [b[1] - a[1] for a, b in zip(found, found[1:])]
    print(f"units {len(found)} discontinuities {sum(status & 0x40 != 0 for _, _, status in found)} longest {max(steps) // 1000000}")


def read(name):
    with open(name, "rb") as file:
        return file.read()


what, *names = sys.argv[1:] or ["help"]
if what == "same" and len(names) == 2:
    same(*map(read, names))
elif what == "times" and len(names) == 2:
    times(read(names[0]), read(names[1]).decode())
elif what == "mp4" and len(names) == 2:
    mp4(read(names[0]), names[1])
elif what == "stamps" and len(names) == 1:
    stamps(read(names[0]))
else:
    sys.exit(__doc__)
