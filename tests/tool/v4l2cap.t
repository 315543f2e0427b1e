#!/usr/bin/env python3
"""v4l2cap where there is no camera: its usage and its man page. With cameras: tests/guest/v4l2cap-*.sh."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
V4L2CAP = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build"))), "v4l2cap")
NOWHERE = "/dev/nowhere"
done = failed = 0


def ok(good, what):
    global done, failed
    done += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {done} - {what}", flush=True)


def cap(*args, **more):
    return subprocess.run([V4L2CAP, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, **more)


def usage_errors():
    bad = {"-s": ["", "640", "640x", "0x480", "640x480x", "-640x480", "16385x480", "640x99999999999999999999"],
           "-r": ["", "0", "-1", "241", "30 ", "30/0", "abc", "29.97003"],
           "-f": ["", "H2645", "H\t64"],
           "-c": ["", "=3"],
           "-n": ["", "0", "-1", "10 ", "4294967296"]}
    for option, values in bad.items():
        for value in values:
            run = cap("-d", NOWHERE, option, value)
            ok(run.returncode == 100 and run.stdout == b"" and run.stderr.count(b"\n") == 1
               and run.stderr.startswith(f"v4l2cap: {option} {value}: ".encode()), f"{option} '{value}' is refused")
    for args in (["-q"], ["-n"], ["extra"], ["-l", "-L"], ["-l", "-n", "3"], ["-L", "-s", "1x1"], ["-L", "-c", "a=1"], ["-L", "-F", "x"],
                 ["-c", "a=1"] * 65):
        run = cap(*args)
        ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and run.stdout == b"", f"{' '.join(args[:6])} is refused")
    master, terminal = os.openpty()
    run = subprocess.run([V4L2CAP, "-d", NOWHERE], stdout=terminal, stderr=subprocess.PIPE, timeout=10)
    os.close(terminal)
    os.close(master)
    ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and b"terminal" in run.stderr, "not to a terminal")


def configuration():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        def said(text, *args):
            f.seek(0)
            f.truncate()
            f.write(text)
            f.flush()
            run = cap("-d", NOWHERE, "-F", f.name, *args)
            return run.returncode, run.stderr.decode().replace(f.name, "FILE")
        absent = f"v4l2cap: {NOWHERE}: not there"
        status, error = said(f"[{NOWHERE}]\nwidth = 1x\n")
        ok((status, error) == (100, "v4l2cap: FILE:2: not a number of pixels, 1 to 16384\n"), f"-F: a mistake: {error.strip()}")
        status, error = said("[server]\nport = x\n")
        ok(status == 111 and error.startswith(f"v4l2cap: FILE: no section [{NOWHERE}]\n{absent}"), "-F: no such section")
        status, error = said(f"[{NOWHERE}]\nwidth = 1280\ngain = 1\n")
        ok(status == 111 and error.startswith(absent), "-F: a section")
        status, error = said(f"[{NOWHERE}]\ngain = 1\n", *["-c", "a=1"] * 64)
        ok(status == 100 and error.count("\n") == 1, "-F and -c: too many controls")
        ok(said("#" * 65537)[0] == 100, "-F: a file that is too large")
    ok(cap("-F", "/nonexistent").returncode == 100, "-F: no such file")


def devices():
    for path, status, why in ((NOWHERE, 111, b"not there"), ("/dev/null", 100, b"not a V4L2 device"), (ROOT, 100, b"not a V4L2 device"),
                              (os.path.join(ROOT, "Makefile"), 100, b"not a V4L2 device"), (NOWHERE + "/x", 111, b"not there")):
        for mode in ((), ("-l",), ("-L",)):
            run = cap("-d", path, *mode)
            ok(run.returncode == status and run.stdout == b"" and run.stderr.count(b"\n") == 1
               and run.stderr.startswith(f"v4l2cap: {path}: ".encode() + why), f"{path} {' '.join(mode)}: {status}, {why.decode()}")


def texts():
    run = cap("-h")
    ok(run.returncode == 0 and run.stderr == b"" and run.stdout.startswith(b"usage: v4l2cap "), "-h")
    ok(re.fullmatch(rb"v4l2cap \d\S*\n", cap("-V").stdout), "-V")
    page = os.path.join(ROOT, "capture/v4l2cap.1")
    with open(page, encoding="ascii") as file:
        examples = re.findall(r"^\.Dl \$ (.*)", file.read(), re.M)
    ok(len(examples) >= 4, "the man page has examples")
    for example in examples:
        words = shlex.split(example.split("|")[0].split(">")[0])
        ok(words[0] == "v4l2cap" and cap(*words[1:], "-d", NOWHERE).returncode == 111, f"{example}: a valid usage")
    if not shutil.which("mandoc"):
        ok(False, "SYNOPSIS is the usage: no mandoc")
        return
    text = subprocess.run(["mandoc", "-T", "ascii", page], stdout=subprocess.PIPE, check=True).stdout.decode()
    synopsis = re.sub(".\x08", "", text).split("SYNOPSIS")[1].split("DESCRIPTION")[0].split()
    ok(synopsis == run.stdout.decode().replace("usage:", "").split(), "SYNOPSIS is the usage")


usage_errors()
devices()
texts()
print(f"1..{done}")
raise SystemExit(failed != 0)
