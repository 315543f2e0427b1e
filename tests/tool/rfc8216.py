#!/usr/bin/env python3
"""What RFC 8216 demands of a server of fragmented MP4, checked from the text of its playlists over time and, where
given, from facts about their segments. It knows nothing of the program that wrote them.

    rfc8216.py [FILE]          reads a trace; prints each breach, "SECTION: what"; exit 0 when there is none, else 1

A trace is lines of JSON:

    {"media": TEXT, "at": US, "absent": US}    this version of the media playlist came out then; absent: how much of
                                               the time so far there were no pictures to list (default 0)
    {"master": TEXT}                           the master playlist over it
    {"segment": N, ...}                        facts about the segment of that media sequence number:
        "scale": ticks a second; "start", "end": its first and last tick; "next": the first of the picture behind it,
        listed or not, on the same timeline (default: "end"); "epoch": its init segment; "bytes";
        "key": begins with a keyframe; "hole": longest hole inside, us, -1 when its timeline breaks;
        "joins": hole between it and the segment before, us, -1 when that is another timeline;
        "utc": capture time of its first picture, us, or 0 when not known
    {"gone": N, "at": US}                      from then on the segment cannot be fetched
    {"stream": ...}                            the trace of another playlist begins

What is checked, by section:

    3        each segment continues the timeline of the one before, or is marked as a discontinuity
    3.3      an fMP4 segment has an EXT-X-MAP; it names the init segment its fragments belong to (facts)
    4.1      UTF-8, no byte order mark, no control characters but line ends, Unicode normalization C, no blanks
             where the grammar has none, every line ended; a media or a master playlist, not both or neither
    4.2      attribute lists: names, values as each kind demands, no name twice
    4.3.1.1  EXTM3U is the first line
    4.3.1.2  one EXT-X-VERSION at most, there when needed
    4.3.2    segment tags are followed by a segment
    4.3.2.1  every segment has an EXTINF, with a comma; it says how long the segment lasts (facts: to 1 ms)
    4.3.2.3  EXT-X-DISCONTINUITY where the format, the tracks (another init segment) or the timeline change
    4.3.2.5  EXT-X-MAP has a URI, and needs version 6 without EXT-X-I-FRAMES-ONLY (7)
    4.3.2.6  EXT-X-PROGRAM-DATE-TIME is an ISO 8601 date; it is the first picture's (facts: to 1 ms)
    4.3.3    no media playlist tag twice
    4.3.3.1  EXT-X-TARGETDURATION, and no EXTINF that rounds to more
    4.3.3.2  EXT-X-MEDIA-SEQUENCE in front of the first segment
    4.3.3.3  EXT-X-DISCONTINUITY-SEQUENCE in front of the first segment and of any EXT-X-DISCONTINUITY
    4.3.3.5  EXT-X-PLAYLIST-TYPE is EVENT or VOD
    4.3.4    no master playlist tag in a media playlist
    4.3.4.2  EXT-X-STREAM-INF: BANDWIDTH, no less than the peak (facts); CODECS, RESOLUTION, FRAME-RATE well formed;
             AVERAGE-BANDWIDTH no less than the average (facts); a URI behind it
    4.3.5    EXT-X-INDEPENDENT-SEGMENTS and EXT-X-START once at most; in the master only if in the media playlist
    4.3.5.1  with EXT-X-INDEPENDENT-SEGMENTS every segment begins with a keyframe (facts)
    6.2.1    nothing changes but: lines appended, segments removed from the front with their tags, the two sequence
             numbers, EXT-X-ENDLIST; nothing at all in a VOD, nothing removed from an EVENT; the target duration never;
             every segment has a URI of its own; a listed one can be fetched; a new version without new segments is
             none, with them it comes no sooner than 0.5 and no later than 1.5 target durations after the one before
             (to 0.1 s, and not counting time without pictures); the dates of two segments do not cover each other by
             a second or more
    6.2.2    segments are removed in order and counted in EXT-X-MEDIA-SEQUENCE, discontinuities in
             EXT-X-DISCONTINUITY-SEQUENCE, which both never go back; what is left lasts three target durations;
             what was removed can be fetched for its duration and that of the longest playlist; a playlist that
             segments are removed from has no EXT-X-PLAYLIST-TYPE
    7        decimal EXTINF needs version 3

One change more than 6.2.1 lists is taken for right: EXT-X-INDEPENDENT-SEGMENTS goes with the first segment that is
not independent, and does not come back. To leave it there would breach 4.3.5.1.

Not for fMP4 without encryption and alternatives, and so not checked: EXT-X-KEY, EXT-X-MEDIA, byte ranges, I-frame
playlists, date ranges. Not in the text: content types, ETags, atomic changes (6.2.1), boxes (3.3).
"""
import json
import re
import sys
import unicodedata
from decimal import Decimal, InvalidOperation
from datetime import datetime

SECOND = 1000000
SEGMENT_TAGS = {"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP",
                "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DATERANGE"}
MEDIA_TAGS = {"EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
              "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY"}
MASTER_TAGS = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA",
               "EXT-X-SESSION-KEY"}
BOTH_TAGS = {"EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START"}
INTEGER = re.compile(r"[0-9]{1,20}")
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)')
PICTURE_KINDS = {"BANDWIDTH": INTEGER, "AVERAGE-BANDWIDTH": INTEGER, "CODECS": re.compile(r'"[^",]+(,[^",]+)*"'),
                 "RESOLUTION": re.compile(r"[0-9]+x[0-9]+"), "FRAME-RATE": DECIMAL}
HOLE_MAX = SECOND  # a longer one interrupts the timeline
TOLERANCE = 1000  # us
PUNCTUAL = SECOND // 10  # a new version may be late by so much
HASTY = 0  # or early, where versions are not seen when they come out
OVERLAP = SECOND  # of dates


class Segment:
    def __init__(self):
        self.duration = None  # us
        self.uri = self.map = self.date = None
        self.discontinuity = False
        self.number = self.breaks = 0  # media sequence number, discontinuity sequence number

    def key(self):
        return self.uri, self.duration, self.map, self.date, self.discontinuity, self.breaks


class Playlist:
    """One version, read; what is wrong with it by itself goes to `fault`."""

    def __init__(self, text, fault):
        self.fault = fault
        self.tags = {}  # name: [value]
        self.segments, self.uris = [], []
        self.lines = self.split(text)
        self.is_master = any(self.name(line) in MASTER_TAGS for line in self.lines)
        for line in self.lines:
            name = self.name(line)
            if name:
                self.tags.setdefault(name, []).append(line.partition(":")[2])
        self.common()
        if self.is_master:
            self.master()
        else:
            self.media()

    @staticmethod
    def name(line):
        return line[1:].partition(":")[0] if line.startswith("#EXT") else None

    def split(self, text):
        fault = self.fault
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8")
            except UnicodeDecodeError:
                fault("4.1", "not UTF-8")
                text = text.decode("utf-8", "replace")
        if text.startswith("\ufeff"):
            fault("4.1", "a byte order mark")
        if any((ord(c) < 0x20 and c not in "\r\n") or 0x7F <= ord(c) <= 0x9F for c in text):
            fault("4.1", "a control character")
        if unicodedata.normalize("NFC", text) != text:
            fault("4.1", "not in normalization form C")
        if not text.endswith("\n"):
            fault("4.1", "the last line has no end")
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        for line in lines:
            if re.search(r"\s", re.sub(r'"[^"]*"', "", line)) and (not line.startswith("#") or self.name(line)):
                fault("4.1", f"a blank in {line!r}")
        return [line for line in lines if line and (not line.startswith("#") or self.name(line))]

    def integer(self, section, tag):
        """The value of a tag that has one at most, or None."""
        values = self.tags.get(tag)
        if not values:
            return None
        if not INTEGER.fullmatch(values[0]) or int(values[0]) >= 1 << 64:
            self.fault(section, f"{tag}:{values[0]} is no decimal integer")
            return None
        return int(values[0])

    def attributes(self, tag, value):
        found, at = {}, 0
        while at < len(value):
            m = ATTRIBUTE.match(value, at)
            if not m or (m[3] == "," and m.end() == len(value)):
                self.fault("4.2", f"{tag}: not an attribute list: {value!r}")
                break
            if m[1] in found:
                self.fault("4.2", f"{tag}: {m[1]} twice")
            found[m[1]] = m[2]
            at = m.end()
        return found

    def common(self):
        names = set(self.tags)
        if not self.lines or self.lines[0] != "#EXTM3U":
            self.fault("4.3.1.1", "the first line is not #EXTM3U")
        for tag in BOTH_TAGS & names:
            if len(self.tags[tag]) > 1:
                self.fault("4.3.5", f"{tag} twice")
        if len(self.tags.get("EXT-X-VERSION", [])) > 1:
            self.fault("4.3.1.2", "EXT-X-VERSION twice")
        self.version = self.integer("4.3.1.2", "EXT-X-VERSION")
        mixed = names & (SEGMENT_TAGS | MEDIA_TAGS)
        if self.is_master and mixed:
            self.fault("4.3.4", f"{sorted(mixed)} beside master playlist tags")
        if not self.is_master and not mixed:
            self.fault("4.1", "neither a media nor a master playlist")

    def needs(self, section, version, why):
        if (self.version or 1) < version:
            self.fault("4.3.1.2" if self.version is None else section, f"{why} needs EXT-X-VERSION {version}")

    # Media playlists

    def media(self):
        for tag in MEDIA_TAGS & set(self.tags):
            if len(self.tags[tag]) > 1:
                self.fault("4.3.3", f"{tag} twice")
        self.target = self.integer("4.3.3.1", "EXT-X-TARGETDURATION")
        if self.target is None:
            self.fault("4.3.3.1", "no EXT-X-TARGETDURATION")
            self.target = 0
        self.number = self.integer("4.3.3.2", "EXT-X-MEDIA-SEQUENCE") or 0
        self.breaks = self.integer("4.3.3.3", "EXT-X-DISCONTINUITY-SEQUENCE") or 0
        self.type = self.tags.get("EXT-X-PLAYLIST-TYPE", [None])[0]
        if self.type not in (None, "EVENT", "VOD"):
            self.fault("4.3.3.5", f"EXT-X-PLAYLIST-TYPE:{self.type}")
        self.ended = "EXT-X-ENDLIST" in self.tags
        self.independent = "EXT-X-INDEPENDENT-SEGMENTS" in self.tags
        self.read_segments()
        self.duration = sum(s.duration or 0 for s in self.segments)
        self.check_dates()

    def read_segments(self):
        s, pending, current, breaks = Segment(), None, None, self.breaks
        for line in self.lines:
            name, value = self.name(line), line.partition(":")[2]
            if name is None:
                if s.duration is None:
                    self.fault("4.3.2.1", f"{line}: no EXTINF")
                if current is None:
                    self.fault("3.3", f"{line}: no EXT-X-MAP")
                s.uri, s.map, s.breaks, s.number = line, current, breaks, self.number + len(self.segments)
                self.segments.append(s)
                s, pending = Segment(), None
                continue
            if name in SEGMENT_TAGS and name != "EXT-X-DATERANGE":
                pending = name
            if name == "EXTINF":
                s.duration = self.extinf(value)
            elif name == "EXT-X-DISCONTINUITY":
                s.discontinuity = True
                breaks += 1
            elif name == "EXT-X-MAP":
                current = self.map(value)
            elif name == "EXT-X-PROGRAM-DATE-TIME":
                s.date = self.date(value)
            elif name in ("EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"):
                section = "4.3.3.2" if name == "EXT-X-MEDIA-SEQUENCE" else "4.3.3.3"
                if self.segments or (section == "4.3.3.3" and breaks > self.breaks):
                    self.fault(section, f"{name} behind what it counts")
        if pending:
            self.fault("4.3.2", f"{pending} without a segment")

    def extinf(self, value):
        number, comma, _ = value.partition(",")
        if not comma or not DECIMAL.fullmatch(number):
            self.fault("4.3.2.1", f"EXTINF:{value}")
            return 0
        if "." in number:
            self.needs("7", 3, "a decimal EXTINF")
        seconds = Decimal(number)
        if int(seconds + Decimal("0.5")) > self.target:
            self.fault("4.3.3.1", f"EXTINF:{value} with a target duration of {self.target}")
        return int(seconds * SECOND)

    def map(self, value):
        attributes = self.attributes("EXT-X-MAP", value)
        uri = attributes.get("URI", "")
        if not re.fullmatch('".+"', uri):
            self.fault("4.3.2.5", f"EXT-X-MAP:{value}: no URI")
        if "EXT-X-I-FRAMES-ONLY" not in self.tags:
            self.needs("4.3.2.5", 6, "EXT-X-MAP")
        return uri.strip('"')

    def date(self, value):
        try:
            if not DATE.fullmatch(value):
                raise ValueError
            date = datetime.fromisoformat(value.replace("Z", "+00:00"))
            since = date - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            return (since.days * 86400 + since.seconds) * SECOND + since.microseconds
        except ValueError:
            self.fault("4.3.2.6", f"EXT-X-PROGRAM-DATE-TIME:{value}")
            return None

    def check_dates(self):
        end = None  # of the segments before, as a player counts it
        for s in self.segments:
            if s.date is not None and end is not None and s.date <= end - OVERLAP:
                self.fault("6.2.1", f"{s.uri}: its date is that of segments before it")
            if s.date is not None:
                end = s.date
            if end is not None:
                end += s.duration or 0

    # Master playlists

    def master(self):
        self.variants, waiting = [], None
        for line in self.lines:
            name, value = self.name(line), line.partition(":")[2]
            if name is None:
                if waiting is None:
                    self.fault("4.1", f"{line}: no EXT-X-STREAM-INF")
                else:
                    self.variants.append((line, waiting))
                waiting = None
                continue
            if waiting is not None:
                self.fault("4.3.4.2", "EXT-X-STREAM-INF without a URI")
                waiting = None
            if name == "EXT-X-STREAM-INF":
                waiting = self.stream_inf(value)
        if waiting is not None:
            self.fault("4.3.4.2", "EXT-X-STREAM-INF without a URI")

    def stream_inf(self, value):
        attributes = self.attributes("EXT-X-STREAM-INF", value)
        if "BANDWIDTH" not in attributes:
            self.fault("4.3.4.2", "EXT-X-STREAM-INF without BANDWIDTH")
        for name, kind in PICTURE_KINDS.items():
            if name in attributes and not kind.fullmatch(attributes[name]):
                self.fault("4.3.4.2", f"{name}={attributes[name]}")
        return attributes


class Checker:
    """One media playlist over time, and the master playlist over it. Breaches are in `faults`."""

    def __init__(self):
        self.faults = []
        self.facts = {}  # number: what is known of a segment
        self.seen = {}  # number: Segment
        self.named = {}  # URI: number
        self.retired = {}  # number: when it was removed
        self.gone = {}  # number: when it went
        self.before = self.at = self.text = None
        self.absent = 0
        self.longest = {}  # number: of the playlists that listed it, us

    def fault(self, section, what):
        self.faults.append(f"{section}: {what}")

    def line(self, record):
        if "segment" in record:
            self.facts[record["segment"]] = record
        elif "gone" in record:
            self.gone[record["gone"]] = record["at"]
            self.check_gone(record["gone"], record["at"])
        elif "media" in record:
            self.media(record["media"], record["at"], record.get("absent", 0))
        elif "master" in record:
            self.master(record["master"])

    def media(self, text, at, absent=0):
        p = Playlist(text, self.fault)
        if p.is_master:
            self.fault("4.1", "a master playlist in the media playlist's place")
            return
        for s in p.segments:
            if s.number in self.gone:
                self.fault("6.2.1", f"{s.uri} is listed and cannot be fetched")
            self.longest[s.number] = max(self.longest.get(s.number, 0), p.duration)
            if self.named.setdefault(s.uri, s.number) != s.number:
                self.fault("6.2.1", f"{s.uri} is segment {self.named[s.uri]} and {s.number}")
            if s.number not in self.seen:
                self.seen[s.number] = s
                self.check_facts(s)
            elif self.seen[s.number].key() != s.key():
                self.fault("6.2.1", f"segment {s.number} was another: {self.seen[s.number].key()}, {s.key()}")
        self.check_neighbours(p)
        if p.independent:
            for s in p.segments:
                if not self.facts.get(s.number, {"key": 1})["key"]:
                    self.fault("4.3.5.1", f"{s.uri} is not independent")
        if self.before:
            self.check_change(self.before, p, text, at, absent)
        elif not p.segments and not p.ended:
            self.fault("6.2.1", "no segment")
        self.before, self.at, self.absent, self.text = p, at, absent, text

    # One version after the other

    def check_change(self, old, new, text, at, absent):
        if old.type == "VOD":
            if text != self.text:
                self.fault("6.2.1", "a VOD playlist changed")
            return
        if old.ended and text != self.text:
            self.fault("6.2.1", "changed behind EXT-X-ENDLIST")
        self.check_head(old, new)
        removed = new.number - old.number
        if removed < 0:
            self.fault("6.2.2", f"EXT-X-MEDIA-SEQUENCE goes back from {old.number} to {new.number}")
            return
        if removed > len(old.segments):
            self.fault("6.2.2", "segments came and went between two versions")
            removed = len(old.segments)
        if len(new.segments) < len(old.segments) - removed:
            self.fault("6.2.2", "segments are removed from the end, or not counted")
        for a, b in zip(old.segments[removed:], new.segments):
            if a.uri != b.uri:
                self.fault("6.2.2", f"{a.uri} became {b.uri}: not removed in order, or not counted")
                break
        self.check_removed(old, new, removed, at)
        if len(new.segments) + removed > len(old.segments):
            since, target = at - self.at, new.target * SECOND
            if since + HASTY < target // 2:
                self.fault("6.2.1", f"a new version after {since} us")
            if since - (absent - self.absent) > target * 3 // 2 + PUNCTUAL:
                self.fault("6.2.1", f"no new version for {since} us, of which {absent - self.absent} without pictures")
        elif not (new.ended and not old.ended):
            self.fault("6.2.1", "a new version with no new segment")

    def check_head(self, old, new):
        if old.target != new.target:
            self.fault("6.2.1", f"the target duration changes from {old.target} to {new.target}")
        if old.type != new.type or old.version != new.version:
            self.fault("6.2.1", "EXT-X-PLAYLIST-TYPE or EXT-X-VERSION changes")
        if new.breaks < old.breaks:
            self.fault("6.2.2", f"EXT-X-DISCONTINUITY-SEQUENCE goes back from {old.breaks} to {new.breaks}")
        if new.independent and not old.independent:
            self.fault("6.2.1", "EXT-X-INDEPENDENT-SEGMENTS comes back")
        if old.independent and not new.independent:
            last = old.segments[-1].number if old.segments else -1
            if all(self.facts.get(s.number, {"key": 0})["key"] for s in new.segments if s.number > last):
                self.fault("6.2.1", "EXT-X-INDEPENDENT-SEGMENTS goes without a reason")

    def check_removed(self, old, new, removed, at):
        gone = old.segments[:removed]
        if not gone:
            return
        if old.type:
            self.fault("6.2.1" if old.type == "EVENT" else "6.2.2", f"removed from a playlist of type {old.type}")
        if "EXT-X-MEDIA-SEQUENCE" not in new.tags:
            self.fault("6.2.2", "segments are removed and there is no EXT-X-MEDIA-SEQUENCE")
        if new.breaks - old.breaks != sum(s.discontinuity for s in gone):
            self.fault("6.2.2", "EXT-X-DISCONTINUITY-SEQUENCE does not count what is removed")
        if any(s.discontinuity for s in old.segments) and "EXT-X-DISCONTINUITY-SEQUENCE" not in new.tags:
            self.fault("6.2.2", "no EXT-X-DISCONTINUITY-SEQUENCE")
        if not new.ended and new.duration < 3 * new.target * SECOND:
            self.fault("6.2.2", f"what is left lasts {new.duration} us, with a target duration of {new.target}")
        for s in gone:
            self.retired[s.number] = at

    def check_gone(self, number, at):
        s = self.seen.get(number)
        if s is None:
            return
        if number not in self.retired:
            self.fault("6.2.1", f"{s.uri} is listed and cannot be fetched")
        elif at < self.retired[number] + s.duration + self.longest[number]:
            self.fault("6.2.2", f"{s.uri} is gone {at - self.retired[number]} us after it was removed")

    # Text and facts

    def check_facts(self, s):
        fact = self.facts.get(s.number)
        if not fact:
            return
        if fact["hole"] < 0 or fact["hole"] > HOLE_MAX:
            self.fault("3", f"{s.uri}: its timeline breaks inside")
        if s.map is not None and str(fact["epoch"]) not in re.findall("[0-9]+", s.map):
            self.fault("3.3", f"{s.uri}: of epoch {fact['epoch']} under {s.map}")
        if s.date is not None and abs(s.date - fact["utc"]) > TOLERANCE:
            self.fault("4.3.2.6", f"{s.uri}: {s.date} is not when it was captured, {fact['utc']}")

    def check_neighbours(self, p):
        for a, b in zip(p.segments, p.segments[1:]):
            fact, after = self.facts.get(a.number), self.facts.get(b.number)
            if a.map != b.map and not b.discontinuity:
                self.fault("4.3.2.3", f"{b.uri}: another init segment, no discontinuity")
            if not fact or not after or "checked" in fact:
                continue
            fact["checked"] = True
            if not b.discontinuity and not 0 <= after["joins"] <= HOLE_MAX:
                self.fault("4.3.2.3", f"{b.uri}: another timeline, no discontinuity")
            ends = [after["start"]]
            if b.discontinuity:
                ends = [fact["end"], fact.get("next", fact["end"])]
            lasts = [(end - fact["start"]) * SECOND / fact["scale"] for end in ends]
            if min(abs(true - a.duration) for true in lasts) > TOLERANCE:
                self.fault("4.3.2.1", f"{a.uri} lasts {lasts[0]:.0f} us, its EXTINF says {a.duration}")

    def master(self, text):
        p = Playlist(text, self.fault)
        if not p.is_master:
            self.fault("4.1", "a media playlist in the master playlist's place")
            return
        if "EXT-X-INDEPENDENT-SEGMENTS" in p.tags and self.before and not self.before.independent:
            self.fault("4.3.5", "EXT-X-INDEPENDENT-SEGMENTS, and the media playlist has none")
        peak, average = self.rates()
        for uri, attributes in p.variants:
            for name, least in (("BANDWIDTH", peak), ("AVERAGE-BANDWIDTH", average)):
                if INTEGER.fullmatch(attributes.get(name, "")) and int(attributes[name]) < least:
                    self.fault("4.3.4.2", f"{uri}: {name} is {attributes[name]}, the segments have {least:.0f}")

    def rates(self):
        """Peak and average segment bit rate (4.1) of all segments ever listed."""
        known = [(self.facts[n]["bytes"] * 8, s.duration / SECOND) for n, s in sorted(self.seen.items())
                 if n in self.facts]
        if not known or not self.before or not sum(d for _, d in known):
            return 0, 0
        peak = 0
        for i in range(len(known)):
            bits = seconds = 0
            for b, d in known[i:]:
                bits, seconds = bits + b, seconds + d
                if seconds > 1.5 * self.before.target:
                    break
                if seconds >= 0.5 * self.before.target:
                    peak = max(peak, bits / seconds)
        return peak, sum(b for b, _ in known) / sum(d for _, d in known)


def check(records):
    """The breaches of a trace, given as a list of its records."""
    faults, checker = [], Checker()
    for record in records:
        if "stream" in record:
            faults += checker.faults
            checker = Checker()
        else:
            checker.line(record)
    return faults + checker.faults


def main():
    if len(sys.argv) > 2:
        print("rfc8216: usage: rfc8216.py [FILE]", file=sys.stderr)
        return 100
    with open(sys.argv[1], encoding="utf-8") if len(sys.argv) == 2 else sys.stdin as f:
        faults = check([json.loads(line) for line in f])
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
