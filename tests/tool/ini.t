#!/usr/bin/env python3
"""Python's configparser reads what capture/ini.c reads: the same items on the same lines, the same mistakes.

Every text of up to five characters out of those that matter, behind three beginnings; then texts of hostile
pieces out of a seeded generator. configparser says by its documented hooks (SECTCRE, optionxform, dict_type)
what it finds on which line. Left out is what capture/ini.h says differs.
"""
import configparser
import io
import itertools
import os
import random
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
INIDUMP = os.path.join(os.environ.get("BUILD", "build"), "tool/inidump")
ALPHABET = "\n =a[]#"
BEGINNINGS = ["", "[s]\n", "[s]\n k =v\n"]
TEXTS = 4000
done = failed = 0


def ok(good, what, *diagnostics):
    global done, failed
    done += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {done} - {what}")
    for text in diagnostics:
        print(f"# {text}")


class Reader(configparser.ConfigParser):
    """Keeps (kind, line, name, value) of all it finds; mistakes are lines."""

    def __init__(self):
        self.found, self.mistakes, self.line = [], [], 0
        reader = self

        class Options(dict):
            def __setitem__(self, name, value):
                if isinstance(value, list) and name:
                    reader.found.append(("key", reader.line, name, value))
                super().__setitem__(name, value)

        super().__init__(interpolation=None, strict=False, default_section="\0none", dict_type=Options)
        self.SECTCRE = self

    def match(self, line):
        found = configparser.ConfigParser.SECTCRE.match(line)
        if found:
            self.found.append(("section", self.line, found["header"]))
        return found

    def lines(self, text):
        for line in io.TextIOWrapper(io.BytesIO(text), encoding="utf-8"):  # the newlines of open()
            self.line += 1
            yield line

    def read_bytes(self, text):
        try:
            self.read_file(self.lines(text))
        except configparser.MissingSectionHeaderError as e:
            self.mistakes = [e.lineno]
        except configparser.ParsingError as e:
            self.mistakes = [line for line, _ in e.errors]
        return self


def by_configparser(text):
    reader = Reader().read_bytes(text)
    found = [(*item[:3], "\n".join(item[3]).rstrip()) if item[0] == "key" else item for item in reader.found]
    if not reader.mistakes:  # what was noted on the way is what the parser holds in the end
        held = {}
        for item in found:
            section = held.setdefault(item[2], {}) if item[0] == "section" else section
            if item[0] == "key":
                section[item[2]] = item[3]
        assert held == {name: dict(reader[name]) for name in reader.sections()}, text
    return found, reader.mistakes


def by_us(texts):
    """One list of items for each text."""
    requests = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    answer = subprocess.run([INIDUMP], input=requests, stdout=subprocess.PIPE, check=True).stdout.decode()
    items = []
    for row in answer.splitlines():
        kind, line, *fields = row.split(" ")
        items.append((kind, int(line), *(bytes.fromhex(field).decode() for field in fields)))
        if kind == "end":
            yield items[:-1]
            items = []


def difference(ours, text):
    """What is wrong with our items, or None; and whether there are mistakes in the text."""
    found, mistakes = by_configparser(text)
    our_mistakes = [item[1] for item in ours if item[0] == "bad"]
    ours = [item for item in ours if item[0] != "bad"]
    if mistakes and not found:  # it may have given up at text before the first section
        good = our_mistakes[:1] == mistakes[:1]
    elif mistakes:  # it gives values to nobody
        good = our_mistakes == mistakes and [item[:3] for item in ours] == [item[:3] for item in found]
    else:
        good = not our_mistakes and ours == found
    return None if good else f"{text!r}: {found} {mistakes}, not {ours} {our_mistakes}", bool(mistakes)


def compare(texts, what, rarest):
    """The texts must agree, and a share of them, at least, be with and be without mistakes."""
    answers = list(by_us(texts))
    results = [difference(*pair) for pair in zip(answers, texts)]
    wrong = [why for why, _ in results if why]
    mistaken = sum(bad for _, bad in results)
    ok(len(answers) == len(texts) and not wrong, f"{what}: {len(texts)} texts, {mistaken} with mistakes", *wrong[:5])
    ok(rarest * len(texts) < mistaken < (1 - rarest) * len(texts), f"{what}: enough of either")


def piece(rng, depth):
    """Up to so many pieces of a name or a value."""
    pieces = ["a", "B", "Key", "=", ":", " ", "  ", "\t", "#", ";", "[", "]", "é", "日本", "𝄞", "%", "%(a)s", '"', "\\",
              "=", ":", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x01", "\ufeff", "/dev/video0", " # c", " ; c", "'"]
    return "".join(rng.choice(pieces) for _ in range(rng.randrange(depth)))


def line(rng, number, careless):
    indent = rng.choice(["", "", "", " ", " ", "  ", "    ", "\t", "\t ", "\x0b", "\x1e  "])
    after = rng.choice(["", "", "", " ", "\t", " \x0c"])
    word = "w" + piece(rng, 3).replace("=", "").replace(":", "")
    kind = rng.randrange(20 if careless else 18)
    if kind < 2:
        body = rng.choice("#;") + piece(rng, 5)
    elif kind < 5:
        body = ""
    elif kind < 7:
        body = "[" + rng.choice(["s", "DEFAULT", "S", " s ", "/dev/v4l/by-id/usb-" + "x" * 70, "]", word]) + "]"
        body += rng.choice(["", "", "]", " # c", " = b", "x]y", piece(rng, 4)])
    elif kind < 11:
        body = rng.choice(["a", "A", f"k{number}", word]) + rng.choice(["=", ":", " = ", "\t: "]) + piece(rng, 6)
    elif kind < 14:
        body = word + rng.choice(["=", ":"]) + piece(rng, 3)
    elif kind < 18:
        indent, body = indent + rng.choice(["  ", "      ", "\t\t\t"]), piece(rng, 5) + "= :"[rng.randrange(3)] + "x"
        body = body if careless else "c" + body + "="  # whole even where it continues nothing
    else:
        body = rng.choice(["[]", "[]=x", "[a", "=", ": b", "a", word, piece(rng, 6)])
    return indent + body + after


def generated(rng):
    careless = rng.random() < 0.4
    end = rng.choice(["\n", "\n", "\r\n", "\r", None])
    text = rng.choice(["", "\n", " # c\n", " ;\r\n"]) + rng.choice(["[s]", "  [s]", "[DEFAULT]", "[]", "a=b", "#[s]"]
                                                                 if careless else ["[s]", "  [s]", "[DEFAULT]"])
    for number in range(rng.randrange(1, 14)):
        text += (end or rng.choice(["\n", "\r\n", "\r"])) + line(rng, number, careless)
    text += rng.choice(["", "\n", "\r\n", "\r", "\n \n"])
    return text.encode()


def main():
    small = ["".join(chars) for n in range(6) for chars in itertools.product(ALPHABET, repeat=n)]
    for beginning in BEGINNINGS:
        texts = [(beginning + text).encode() for text in small[::1 if "k" in beginning else 3]]
        compare(texts, f"behind {beginning!r}", 0.02)
    rng = random.Random(20)
    compare([generated(rng) for _ in range(TEXTS)], "generated", 0.2)
    print(f"1..{done}")
    return failed > 0


sys.exit(main())
