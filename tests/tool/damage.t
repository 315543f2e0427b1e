#!/usr/bin/env python3
"""h264fmp4 on damaged streams: what it writes is sound, and the damage stays where it fell.

Streams of the test card, of libx264 where there is ffmpeg, and the small ones of the corpus where there is one are
damaged at random (SEED, DAMAGE times), and muxed by a build with ASan and UBSan: from a file and from a pipe, to a file
and to a pipe. CASE=n runs one alone, and KEEP=dir keeps the streams of failures and what became of them.

The rule of confinement. Every access unit that no damage touched from its first slice to its last is in the output, in
order: all of its slices, byte for byte, in one sample. No other slice is in that sample but those of the other field of
its frame and, where something in it or beside it was hit, debris of that. But
  - where a parameter set was hit, lost or made by the damage, slice headers are read by it and access units may be cut
    elsewhere, up to where every set of the stream has come again;
  - where nothing has been written yet, the output begins at the next picture that decodes alone: an IDR picture with
    its sets at the latest.
A NAL unit is touched where a byte of it, of its start code or of the next start code was: without that it goes on.
Times are no part of the rule but that they rise: a damaged capture time can move all behind it (mux/timing.h)."""
import bisect
import concurrent.futures
import csv
import importlib.util
import io
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
CORPUS = os.environ.get("CORPUS", os.path.join(ROOT, "../shared/corpus"))
CASES, SEED = int(os.environ.get("DAMAGE", "300")), os.environ.get("SEED", "1")
KEEP = os.environ.get("KEEP")
SECONDS = 20 * float(os.environ.get("SLOW", "1"))
CORPUS_FILE_MAX = 200_000
AT_ONCE, BATCH = 2, 24  # muxers, and files that one ffmpeg opens
SANITIZED = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=0", "UBSAN_OPTIONS": "exitcode=99:print_stacktrace=1"}
SLICES, SETS, IDR = range(1, 6), (7, 8), 5
START_CODE = 3
FFMPEG = shutil.which("ffmpeg")
WORK = tempfile.TemporaryDirectory()


class Unsound(Exception):
    pass


# --- Streams: NAL units and access units, read without our code ---

class Nal:
    """data: without zeros at its end. code: where its start code is; end: where the next one is."""
    def __init__(self, stream, code, end):
        self.code, self.end = code, end
        self.data = stream[code + 3:end].rstrip(b"\0")
        self.kind = self.data[0] & 31 if self.data else 0


def nals(stream):
    codes = [at for at in iter_codes(stream)]
    return [Nal(stream, at, end) for at, end in zip(codes, codes[1:] + [len(stream)])]


def iter_codes(stream):
    at = stream.find(b"\0\0\1")
    while at >= 0:
        yield at
        at = stream.find(b"\0\0\1", at + 3)


def golomb(data, bit, skip=0):
    """The number after so many others, ue(v), from a bit on; None where the bytes end."""
    bits = "".join(f"{byte:08b}" for byte in data)
    for _ in range(skip + 1):
        one = bits.find("1", bit)
        end = 2 * one - bit + 1
        if one < 0 or end > len(bits):
            return None
        number, bit = int(bits[one:end], 2) - 1, end
    return number


def set_id(nal):
    """(type, id) of a parameter set, or None: 7.3.2.1.1 and 7.3.2.2."""
    number = golomb(nal[4:12], 0) if nal[0] & 31 == 7 else golomb(nal[1:8], 0)
    return None if number is None else (nal[0] & 31, number)


class Unit:
    def __init__(self):
        self.nals, self.field = [], False

    def slices(self):
        return tuple(n.data for n in self.nals if n.kind in SLICES)

    def picture(self):
        """From its first slice to its last."""
        places = [i for i, n in enumerate(self.nals) if n.kind in SLICES]
        return self.nals[places[0]:places[-1] + 1] if places else []

    def sets(self):
        return {set_id(n.data) for n in self.nals if n.kind in SETS}


class Source:
    """firsts: of each access unit, where its first NAL unit's header is; None: at each delimiter."""
    def __init__(self, name, stream, firsts=None, fields=None):
        self.name, self.stream = name, stream
        parts = nals(stream)
        firsts = firsts or [n.code + 3 for n in parts if n.kind == 9]
        self.units = [Unit() for _ in firsts]
        for nal in parts:
            at = bisect.bisect_right(firsts, nal.code + 3) - 1
            if at >= 0:
                self.units[at].nals.append(nal)
        for unit, field in zip(self.units, fields or []):
            unit.field = field
        while self.units and not self.units[-1].slices():  # the last delimiter
            self.units.pop()
        self.sets = set().union(*(unit.sets() for unit in self.units))
        self.raw_sets = {n.data for n in parts if n.kind in SETS}
        self.constant = len(self.raw_sets) == len(self.sets)

    def complete_from(self, k):
        """The first access unit by which all sets have come again from k on."""
        seen = set()
        for i in range(k, len(self.units)):
            seen |= self.units[i].sets()
            if seen >= self.sets:
                return i
        return len(self.units)


def undelimited(source, name):
    """The same without its delimiters."""
    parts, stream, firsts = nals(source.stream), bytearray(), []
    was_delimiter = False
    for nal in parts:
        if nal.kind == 9:
            was_delimiter = True
            continue
        if was_delimiter:
            firsts.append(len(stream) + 4)
        was_delimiter = False
        stream += b"\0\0\0\1" + nal.data
    return Source(name, bytes(stream), firsts)


def made_once(name, command):
    """What the program writes, kept from run to run: the test card shows the time, and a case is to be the same again."""
    kept = os.path.join(BUILD, "damage", name.replace("/", "_") + ".264")
    if not os.path.exists(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        run = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)
        with open(f"{kept}.{os.getpid()}", "wb") as f:
            f.write(run.stdout)
        os.rename(f.name, kept)
    with open(kept, "rb") as f:
        return Source(name, f.read())


def card(*args):
    return made_once("testcard " + " ".join(args), [os.path.join(BUILD, "testcard"), "-x", *args])


def x264(options, rate="25"):
    """Some 30 frames with access unit delimiters."""
    return made_once("x264" + options.replace(":", " ") + " " + rate,
                     ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x128:r=" + rate, "-frames:v", "30",
                      "-c:v", "libx264", "-preset", "veryfast", "-qp", "38", "-g", "10", "-pix_fmt", "yuv420p",
                      "-x264-params", "aud=1:repeat-headers=1" + options, "-f", "h264", "-"])


def corpus_file(row):
    with open(os.path.join(CORPUS, row["file"]), "rb") as f:
        stream = f.read()
    with open(os.path.join(CORPUS, "aus", row["file"] + ".tsv"), newline="") as f:
        units = list(csv.DictReader(f, delimiter="\t"))
    return Source(row["file"], stream, [int(u["offset"]) for u in units], [u["field"] == "1" for u in units])


def sources():
    made = [card("-n", "30", "-s", "192x144", "-g", "10"), card("-n", "24", "-s", "208x160", "-g", "6", "-r", "7"),
            card("-n", "40", "-s", "256x128", "-g", "300", "-r", "30000/1001"), card("-n", "3", "-s", "320x240", "-r", "0.5", "-g", "1")]
    made += [undelimited(made[0], "testcard without delimiters")]
    if FFMPEG:
        theirs = [x264(":bframes=0", "30"), x264(":bframes=3", "30000/1001"), x264(":bframes=2:tff=1:slices=2", "50"),
                  x264(":slices=4:bframes=0", "12"), x264(":slices=4:bframes=3:keyint=15:open-gop=1")]
        made += theirs + [undelimited(s, s.name + " without delimiters") for s in theirs]
    found = []
    if os.path.exists(os.path.join(CORPUS, "manifest.tsv")):
        with open(os.path.join(CORPUS, "manifest.tsv"), newline="") as f:
            rows = csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
            found = [corpus_file(row) for row in rows if int(row["size"]) < CORPUS_FILE_MAX]
    return made, found


# --- Damage: a list of (from, to, what takes the place of these bytes), rising and apart ---

def length(rng, most):
    return min(int(2 ** rng.uniform(0, 12)), most)


def flips(rng, source):
    """Half of them where NAL units begin, which is what a framer reads."""
    heads = [n.code for n in nals(source.stream)]
    places = set()
    for _ in range(rng.randint(1, 20)):
        at = rng.randrange(len(source.stream))
        if rng.random() < 0.5 and heads:
            at = min(rng.choice(heads) + rng.randrange(24), len(source.stream) - 1)
        places.add(at)
    return [(at, at + 1, bytes([source.stream[at] ^ 1 << rng.randrange(8)])) for at in sorted(places)]


def set_flips(rng, source):
    """In parameter sets, from which most else follows."""
    sets = [n for n in nals(source.stream) if n.kind in SETS]
    if not sets:
        return flips(rng, source)
    places = {n.code + 3 + rng.randrange(len(n.data)) for n in rng.choices(sets, k=rng.randint(1, 3))}
    return [(at, at + 1, bytes([source.stream[at] ^ 1 << rng.randrange(8)])) for at in sorted(places)]


def stretch(rng, source):
    n = length(rng, len(source.stream) // 4 + 1)
    a = rng.randrange(len(source.stream) - n + 1)
    return a, a + n


def dropped(rng, source):
    a, b = stretch(rng, source)
    return [(a, b, b"")]


def zeroed(rng, source):
    a, b = stretch(rng, source)
    return [(a, b, bytes(b - a))]


def inserted(rng, source):
    a, b = stretch(rng, source)
    junk = rng.randbytes(b - a)
    if rng.random() < 0.3:
        junk = b"\0\0\1".join(rng.randbytes(rng.randint(0, 40)) for _ in range(rng.randint(2, 8)))
    return [(a, a, junk)]


def doubled(rng, source):
    a, b = stretch(rng, source)
    to = b if rng.random() < 0.5 else rng.randrange(len(source.stream) + 1)
    return [(to, to, source.stream[a:b])]


def cut(rng, source):
    at = rng.randrange(len(source.stream))
    return [(at, len(source.stream), b"")] if rng.random() < 0.7 else [(0, at, b"")]


def unharmed(_rng, _source):
    return []


KINDS = [flips, flips, flips, set_flips, set_flips, dropped, dropped, zeroed, inserted, inserted, doubled, doubled, cut, unharmed]


def damaged(source, edits):
    """The bytes, and of each edit where its replacement lies in them."""
    out, places, at = bytearray(), [], 0
    for a, b, new in edits:
        out += source.stream[at:a]
        places.append((len(out), len(out) + len(new)))
        out += new
        at = b
    return bytes(out + source.stream[at:]), places


class Case:
    """number: from which, with SEED, all else follows. parts: (source, its edits); two of them for a splice."""
    def __init__(self, number, made, found):
        rng = random.Random(f"{SEED}/{number}")
        self.number = number
        self.from_pipe, self.to_pipe = bool(number & 2), bool(number & 1)
        source = rng.choice(made if not found or rng.random() < 0.4 else found)
        if rng.random() < 1 / (len(KINDS) + 1):
            other = rng.choice(made if not found or rng.random() < 0.4 else found)
            x, y = rng.randrange(len(source.stream)), rng.randrange(len(other.stream))
            self.kind, self.stream = "spliced", source.stream[:x] + other.stream[y:]
            self.parts = [(source, [(x, len(source.stream), other.stream[y:])], [(x, len(self.stream))]),
                          (other, [(0, y, source.stream[:x])], [(0, x)])]
        else:
            kind = rng.choice(KINDS)
            edits = kind(rng, source)
            self.kind, (self.stream, places) = kind.__name__, damaged(source, edits)
            self.parts = [(source, edits, places)]

    def __str__(self):
        where = "; ".join(f"{s.name} {[(a, b) for a, b, _ in edits[:4]]}" for s, edits, _ in self.parts)
        return f"case {self.number}, {self.kind}, {'pipe' if self.from_pipe else 'file'} to {'pipe' if self.to_pipe else 'file'}: {where}"


# --- What must be there ---

def is_touched(nal, edits):
    return any(a < nal.end + START_CODE and b > nal.code for a, b, _ in edits)


def strange_sets(source, case_nals, edits, places):
    """Of each edit, whether the damaged stream has parameter sets there that the stream's own are not."""
    for edit, (a, b) in zip(edits, places):
        for nal in case_nals:
            if nal.code <= b + 3 and nal.end >= a - 3 and nal.kind in SETS and \
                    not (source.constant and nal.data in source.raw_sets):
                yield edit
                break


def begins(source, k, touched, blind):
    """The first IDR picture that can be read, from where all sets have come from access unit k on."""
    if not source.sets:
        return len(source.units)
    return next((i for i in range(source.complete_from(k), len(source.units))
                 if not touched[i] and not blind[i] and any(n.kind == IDR for n in source.units[i].nals)), len(source.units))


def promised(source, edits, case_nals, places):
    """(k, near) of each access unit that must be there if the output has begun, and the first that begins it."""
    touched = [any(is_touched(n, edits) for n in u.picture()) for u in source.units]
    hit = [any(is_touched(n, edits) for n in u.nals) for u in source.units]
    hit_sets = [k for k, u in enumerate(source.units) if any(n.kind in SETS and is_touched(n, edits) for n in u.nals)]
    ends = [u.nals[-1].end for u in source.units]
    for a, _, _ in strange_sets(source, case_nals, edits, places):
        hit_sets.append(min(bisect.bisect_left(ends, a), len(ends) - 1))
    blind = [False] * len(touched)
    for k in set(hit_sets):
        for i in range(k, source.complete_from(k + 1)):
            blind[i] = True
    lost_sets = [k for k in hit_sets if k <= begins(source, 0, touched, blind)]
    opening = begins(source, max(lost_sets) + 1 if lost_sets else 0, touched, blind)
    near = [any(hit[max(0, k - 1):k + 2]) for k in range(len(hit))]
    return [(k, near[k]) for k in range(len(touched)) if not touched[k] and not blind[k]], opening


def missing(source, wanted, opening, samples):
    """What of it is not there or not as it should be; and how many access units were looked for."""
    flat = [(nal, i) for i, sample in enumerate(samples) for nal in sample if nal[0] & 31 in SLICES]
    places = {}
    for at, (nal, _) in enumerate(flat):
        places.setdefault(nal, []).append(at)
    wrong, pos, begun, seen, holds = [], 0, False, 0, {}
    for k, near in wanted:
        slices = source.units[k].slices()
        n = len(slices)
        options = places.get(slices[0], [])
        at = next((p for p in options[bisect.bisect_left(options, pos):]
                   if tuple(nal for nal, _ in flat[p:p + n]) == slices and flat[p][1] == flat[p + n - 1][1]), None)
        if at is None:
            if begun or k >= opening:
                wrong.append(f"access unit {k} is not there")
            continue
        begun, pos, seen = True, at + n, seen + 1
        holds.setdefault(flat[at][1], []).append((k, near, n))
    counts = {}
    for _, i in flat:
        counts[i] = counts.get(i, 0) + 1
    for i, here in holds.items():
        if len(here) > 1 and not (len(here) == 2 and here[1][0] == here[0][0] + 1 and all(source.units[k].field for k, _, _ in here)):
            wrong.append(f"access units {[k for k, _, _ in here]} are one sample")
        elif counts[i] > sum(n for _, _, n in here) and not any(near for _, near, _ in here):
            wrong.append(f"access unit {here[0][0]} has slices of others in its sample")
    return wrong, seen


# --- What came out: boxes, read without our code ---

def u32(data, at):
    return int.from_bytes(data[at:at + 4], "big")


def need(good, why):
    if not good:
        raise Unsound(why)


def boxes(data, at, end):
    """(type, first byte, content, end); they must fill the range."""
    while at < end:
        need(at + 8 <= end and 8 <= u32(data, at) <= end - at, f"a box at {at} that does not fit")
        size = u32(data, at)
        yield data[at + 4:at + 8].decode("latin-1"), at, at + 8, at + size
        at += size


def only(data, place, *names):
    """The content of the one box in a box in a box."""
    for name in names:
        inner = [(a, e) for kind, _, a, e in boxes(data, *place) if kind == name]
        need(len(inner) == 1, f"{len(inner)} {name}")
        place = inner[0]
    return place


def walk_moov(data, at, end):
    a, e = only(data, only(data, (at, end), "trak", "mdia", "minf", "stbl", "stsd"))
    entries = list(boxes(data, a + 8, e))
    need(u32(data, a + 4) == 1 == len(entries) and entries[0][0] in ("avc1", "avc3"), "the sample entry")
    only(data, (at, end), "mvex", "trex")
    _, _, a, e = entries[0]
    need(u32(data, a + 24) >> 16 and u32(data, a + 24) & 0xffff, "a picture without a size")
    a, e = only(data, (a + 78, e), "avcC")
    need(data[a] == 1 and data[a + 4] == 0xff and data[a + 5] & 0xe0 == 0xe0, "avcC")
    at = a + 5
    for mask, kind in (0x1f, 7), (0xff, 8):
        count, at = data[at] & mask, at + 1
        need(count, f"avcC without a set of type {kind}")
        for _ in range(count):
            size = u32(data, at) >> 16
            need(size and at + 2 + size <= e and data[at + 2] & 31 == kind, "avcC's sets")
            at += 2 + size
    need(at == e or at + 4 == e, "avcC's end")


def walk_traf(data, moof, place):
    """tfdt and [(duration, size)]."""
    a, e = only(data, place, "tfhd")
    need(u32(data, a) == 0x20000 and e - a == 8, "tfhd")
    a, e = only(data, place, "tfdt")
    need(data[a] == 1 and e - a == 12, "tfdt")
    time = int.from_bytes(data[a + 4:e], "big")
    a, e = only(data, place, "trun")
    flags, count = u32(data, a) & 0xffffff, u32(data, a + 4)
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    need(flags & 0x301 == 0x301 and not flags & 4 and count and e - a == 12 + 4 * len(fields) * count, "trun")
    entry = [[u32(data, a + 12 + 4 * (len(fields) * i + k)) for k in range(2)] for i in range(count)]
    return time, entry, moof + u32(data, a + 8)


def sample_nals(data, at, size):
    found, end = [], at + size
    while at < end:
        n = u32(data, at)
        need(n and at + 4 + n <= end, f"NAL units that do not fill the sample that ends at {end}")
        found.append(data[at + 4:at + 4 + n])
        at += 4 + n
    need(any(nal[0] & 31 in SLICES for nal in found), "a sample without a slice")
    return found


def walk(data):
    """The samples, each a list of NAL units, of a file in which everything is in its place."""
    samples, now, moofs, sequence, before, due, ends, index = [], -1, {}, 0, None, None, [], None
    for kind, start, at, end in boxes(data, 0, len(data)):
        need(kind in {None: ("ftyp",), "ftyp": ("moov",), "moof": ("mdat",), "prft": ("moof",), "mfra": (), "moov": ("free", "prft", "moof"),
              "free": ("sidx", "prft", "moof"), "sidx": ("prft", "moof")}.get(
            before, ("ftyp", "prft", "moof", "mfra")), f"{kind} behind {before}")
        if kind == "moov":
            walk_moov(data, at, end)
        elif kind == "moof":
            a, _ = only(data, (at, end), "mfhd")
            need(u32(data, a + 4) == sequence + 1, "sequence numbers")
            sequence += 1
            time, due, payload = walk_traf(data, start, only(data, (at, end), "traf"))
            need(payload == end + 8, "trun's data offset")
            need(time >= now, f"tfdt {time} behind {now}")
            moofs[start], now = time, time
        elif kind == "mdat":
            need(sum(size for _, size in due) == end - at, "samples do not fill the mdat")
            for duration, size in due:
                need(duration > 0, "decode times do not rise")
                now += duration
                samples.append(sample_nals(data, at, size))
                at += size
            ends.append(end)
        elif kind == "sidx":
            index, ends = [(u32(data, n), u32(data, n + 4)) for n in range(at + 32, end, 12)], [end]
        elif kind == "mfra":
            a, e = only(data, (at, end), "tfra")
            for i in range(u32(data, a + 12)):
                entry = data[a + 16 + 19 * i:a + 35 + 19 * i]
                need(moofs.get(int.from_bytes(entry[8:16], "big")) == int.from_bytes(entry[:8], "big"), "mfra")
        before = kind
    need(before in ("mdat", "mfra"), f"it ends with {before}")
    need(index is None or ([size for size, _ in index] == [b - a for a, b in zip(ends, ends[1:])]
                           and sum(ticks for _, ticks in index) == now), "sidx")
    return samples


# What the validator may say of damaged pictures; of the boxes around them it may say nothing.
OF_PICTURES = ("unreadable slice header", "slice names ", "a picture is split", "forbidden_zero_bit", "AUD not first",
               "presentation order is not", "a coded video sequence starts", "IDR sample not marked", "sync sample without an IDR",
               "sample_depends_on 1 on an IDR", "sample_depends_on 2", "sample without a slice", "starts with an Annex-B start code",
               "bad in-band parameter set",
               "avcC: start code or 000000 inside", "start code or 000000 inside", "avc1: in-band",
               "second ftyp", "second moov", "moov after a moof", "track id 1 twice")


def validator():
    """A function from bytes to complaints, or None."""
    name = os.path.join(CORPUS, "../tools/fmp4check.py")
    if not os.path.exists(name):
        return None
    spec = importlib.util.spec_from_file_location("fmp4check", name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = {"v": 0, "live": 0, "allow_gaps": 1, "max_frags": 0, "max_bytes": 0, "es": None, "strict": 0}

    def complaints(data):
        check = module.Check(options)
        try:
            check.run(io.BytesIO(data))
        except (KeyError, IndexError, ValueError):
            pass  # it is not made for every number in a damaged set; what it found up to there counts
        return [e for e in check.err if not e.startswith(OF_PICTURES) and " pictures in one sample" not in e]
    return complaints


# --- One case, and all ---

def binary():
    """The build under sanitizers that scripts/test makes, or one of our own of what it takes."""
    own = os.path.join(BUILD, "damage")
    theirs = os.path.join(BUILD, "asan/h264fmp4")
    plain = os.path.join(BUILD, "h264fmp4")
    if os.path.exists(theirs) and os.path.getmtime(theirs) >= os.path.getmtime(plain):
        return theirs
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    files = sorted(os.path.join(d, f) for d in ("capture", "mux") for f in os.listdir(os.path.join(ROOT, d)) if f.endswith(".c"))
    run = subprocess.run(["make", "-s", "-j2", "-C", ROOT, "BUILD=" + own, "SAN=address,undefined", "CFLAGS=-O1 -g",
                          "SOURCES=" + " ".join(files), own + "/h264fmp4"], capture_output=True, text=True, timeout=300, env=environment)
    if run.returncode:
        raise RuntimeError("the build with sanitizers: " + run.stdout + run.stderr)
    return os.path.join(own, "h264fmp4")


def muxed(case, program):
    """Exit status (-1: not in time), what was said, what was written."""
    fds = [os.memfd_create("in"), os.memfd_create("out")]
    try:
        if not case.from_pipe:
            os.write(fds[0], case.stream)
            os.lseek(fds[0], 0, os.SEEK_SET)
        run = subprocess.run([program], stderr=subprocess.PIPE, timeout=SECONDS, env={**os.environ, **SANITIZED},
                             stdout=subprocess.PIPE if case.to_pipe else fds[1],
                             **({"input": case.stream} if case.from_pipe else {"stdin": fds[0]}))
        out = run.stdout if case.to_pipe else os.pread(fds[1], os.fstat(fds[1]).st_size, 0)
        return run.returncode, run.stderr.decode(errors="replace"), out
    except subprocess.TimeoutExpired:
        return -1, "", b""
    finally:
        for fd in fds:
            os.close(fd)


def judge(case, program, validate):
    """{check: what is wrong}, the output, how many samples, and how many access units were found and promised."""
    status, said, out = muxed(case, program)
    wrong = {}
    if status == -1:
        return {"time": "still running"}, out, 0, 0, 0
    if status not in (0, 1) or (status == 1) != (not out):
        wrong["status"] = f"exit {status}, {len(out)} bytes: {said[:300]}"
    if any(not line.startswith("h264fmp4: ") for line in said.splitlines()):
        wrong["sanitizer"] = said[:1500]
    samples, seen, all_units = [], 0, 0
    if out:
        try:
            samples = walk(out)
        except Unsound as e:
            wrong["sound"] = str(e)
            return wrong, out, 0, 0, 0
        complaints = validate(out) if validate else []
        if complaints:
            wrong["validator"] = "; ".join(complaints[:3])
    case_nals = nals(case.stream)
    lost = []
    for source, edits, places in case.parts:
        wanted, opening = promised(source, edits, case_nals, places)
        bad, found = missing(source, wanted, opening, samples)
        lost += [f"{source.name}: {b}" for b in bad]
        seen, all_units = seen + found, all_units + len(source.units)
    if lost:
        wrong["confined"] = f"{len(lost)}: " + "; ".join(lost[:3])
    return wrong, out, len(samples), seen, all_units


def keep(case, out, wrong):
    if KEEP:
        os.makedirs(KEEP, exist_ok=True)
        base = os.path.join(KEEP, f"{SEED}-{case.number}-{'-'.join(wrong)}")
        for suffix, data in (".264", case.stream), (".mp4", out):
            with open(base + suffix, "wb") as f:
                f.write(data)


def opened(files):
    """Which of these (name, samples) ffmpeg does not open, or finds other than so many samples in: one process for all, and
    one for each where that one is not content."""
    args = list(itertools.chain.from_iterable(("-i", name) for name, _ in files))
    maps = list(itertools.chain.from_iterable(("-map", f"{i}:v:0") for i in range(len(files))))
    run = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *args, *maps, "-c", "copy", "-copyinkf", "-f", "framecrc", "-"],
                         capture_output=True, text=True, timeout=10 * SECONDS)
    counts = [0] * len(files)
    for line in run.stdout.splitlines():
        if not line.startswith("#"):
            counts[int(line.split(",")[0])] += 1
    if run.returncode == 0 and counts == [n for _, n in files]:
        return []
    if len(files) == 1:
        return [(files[0][0], f"{counts[0]} of {files[0][1]} packets, exit {run.returncode}: {run.stderr[:300]}")]
    return [bad for one in files for bad in opened([one])]


CHECKS = {"time": "every run ends in time", "status": "exit 0 with something written, or 1 with nothing",
          "sanitizer": "no sanitizer says anything, and every message is one line of ours",
          "sound": "boxes, samples and NAL units fill what holds them, and decode times rise",
          "validator": "the validator has nothing to say of the boxes", "opened": "ffmpeg opens it and finds every sample",
          "confined": "what was not hit is there, whole, in order and in a sample of its own"}


def run_all(cases, program, validate):
    """{check: [what failed]}, counts."""
    failures = {check: [] for check in CHECKS}
    written = seen = units = 0
    waiting = []

    def look():
        nonlocal waiting
        if FFMPEG and waiting:
            by_name = {name: case for name, _, case in waiting}
            for name, why in opened([(name, count) for name, count, _ in waiting]):
                failures["opened"].append(f"{by_name[name]}: {why}")
                with open(name, "rb") as f:
                    keep(by_name[name], f.read(), ["opened"])
        for name, _, _ in waiting:
            os.unlink(name)
        waiting = []

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for group in (cases[i:i + BATCH] for i in range(0, len(cases), BATCH)):
            for case, (wrong, out, samples, found, of) in zip(group, pool.map(lambda c: judge(c, program, validate), group)):
                for check, why in wrong.items():
                    failures[check].append(f"{case}: {why}")
                if wrong:
                    keep(case, out, wrong)
                written, seen, units = written + bool(out), seen + found, units + of
                if samples:
                    waiting.append((os.path.join(WORK.name, f"{case.number}.mp4"), samples, case))
                    with open(waiting[-1][0], "wb") as f:
                        f.write(out)
            look()
    return failures, written, seen, units


def planted(program, made):
    """What the checks say of an output that is spoilt, in the place of the muxer: (check, whether it was noticed)."""
    case = Case(0, made, [])
    source = made[0]
    case.stream, case.parts, case.to_pipe, case.from_pipe = source.stream, [(source, [], [])], True, False
    out = muxed(case, program)[2]
    samples = walk(out)
    wanted, opening = promised(source, [], nals(source.stream), [])

    def unsound(data):
        try:
            walk(data)
        except Unsound:
            return True
        return False

    def lost(some):
        return bool(missing(source, wanted, opening, some)[0])
    tfdt = out.rindex(b"tfdt") + 8
    spoilt = samples[7][:-1] + [samples[7][-1][:-1] + b"\x55"]
    yield "an output of nothing damaged passes", not unsound(out) and not lost(samples)
    yield "a size that is one too large is found", unsound(out.replace(b"\0\0\0\x10mfhd", b"\0\0\0\x11mfhd", 1))
    yield "a decode time that falls is found", unsound(out[:tfdt] + bytes(8) + out[tfdt + 8:])
    yield "an end that is missing is found", unsound(out[:-1])
    yield "a sample that is missing is found", lost(samples[:7] + samples[8:])
    yield "a first sample that is missing is found", lost(samples[1:])
    yield "a slice with one byte changed is found", lost(samples[:7] + [spoilt] + samples[8:])
    yield "two samples that changed places are found", lost(samples[:7] + [samples[8], samples[7]] + samples[9:])
    yield "two samples that became one are found", lost(samples[:7] + [samples[7] + samples[8]] + samples[9:])
    if FFMPEG:
        names = [os.path.join(WORK.name, name) for name in ("whole.mp4", "spoilt.mp4")]
        for name, data in zip(names, (out, out.replace(b"moov", b"moof"))):
            with open(name, "wb") as f:
                f.write(data)
        found = [name for name, _ in opened([(names[0], len(samples)), (names[1], len(samples)), (names[0], len(samples))])]
        yield "one of three files that ffmpeg does not open is found", found == names[1:]
        yield "a sample that ffmpeg does not find is found", bool(opened([(names[0], len(samples) + 1)]))


def main():
    number = failed = 0

    def ok(good, what, more=()):
        nonlocal number, failed
        number, failed = number + 1, failed + (not good)
        print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)
        for line in list(more)[:20]:
            print("# " + line.replace("\n", "\n# "), flush=True)

    try:
        made, found = sources()
        program = binary()
        for what, good in planted(program, made):
            ok(good, what)
        only_one = os.environ.get("CASE")
        cases = [Case(int(n), made, found) for n in ([only_one] if only_one else range(CASES))]
        validate = validator()
        failures, written, seen, units = run_all(cases, program, validate)
        for check, what in CHECKS.items():
            why = {"opened": not FFMPEG and "no ffmpeg", "validator": not validate and "no corpus"}.get(check)
            bad = failures[check]
            ok(not bad, f"{what}: {len(bad)} of {len(cases)} failed" if bad else what + (f" # SKIP {why}" if why else ""), bad)
        ok(only_one or seen > units / 3, f"{len(cases)} damaged streams, {written} outputs, {seen} of {units} access units looked for and found")
    except Exception:
        ok(False, "the test runs to its end", [traceback.format_exc()])
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
