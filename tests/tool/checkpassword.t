#!/usr/bin/env python3
"""checkpassword as fanout's helper, with hashes that others made; and fmp4streamer-user, which makes lines for it."""
import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import BUILD, SLOW, finish, ok, skip, wait_for

CHECK, USER = os.path.join(BUILD, "checkpassword"), os.path.join(BUILD, "fmp4streamer-user")
REQUEST, ANSWER = "=IHH64s128s", "=IIQQQq"  # serve/authwire.h
work = tempfile.mkdtemp()
users = os.path.join(work, "users")


def write(text, path=users):
    """As an editor does it: another file, renamed."""
    with open(path + ".new", "wb") as f:
        f.write(text.encode())
    os.rename(path + ".new", path)


def made(*command, password="secret"):
    """What the command writes when it reads the password, or None where there is no such command."""
    if not shutil.which(command[0]):
        return None
    return subprocess.run(command, input=password.encode() + b"\n", capture_output=True, check=True).stdout.decode().strip()


class Helper:
    def __init__(self, path=users, wrapper=()):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20 * SLOW)
        self.error = tempfile.TemporaryFile()
        self.process = subprocess.Popen([*wrapper, CHECK, path], stdin=other, stderr=self.error)
        other.close()
        self.id = 0

    def send(self, user, password):
        self.id += 1
        user, password = user.encode(), password.encode()
        self.socket.send(struct.pack(REQUEST, self.id, len(user), len(password), user, password))
        return self.id

    def answer(self):
        return struct.unpack(ANSWER, self.socket.recv(4096))[:2]

    def allows(self, user, password):
        want = self.send(user, password)
        number, allowed = self.answer()
        assert number == want and allowed in (0, 1), (number, allowed)
        return allowed == 1

    def said(self):
        self.error.seek(0)
        return self.error.read().decode().splitlines()

    def proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="ascii") as f:
            return f.read()

    def cpu(self):
        return int(self.proc("schedstat").split()[0])

    def end(self):
        self.socket.close()
        return self.process.wait(20 * SLOW)


def kinds():
    hashes = {
        "ours": made(CHECK, "-m", "ours").partition(":")[2],
        "openssl6": made("openssl", "passwd", "-6", "-stdin"),
        "openssl5": made("openssl", "passwd", "-5", "-stdin"),
        "openssl1": made("openssl", "passwd", "-1", "-stdin"),
        "htpasswd": (made("htpasswd", "-niB", "x") or "").partition(":")[2],
        **{name: made("mkpasswd", "-s", "-m", name)
           for name in ("yescrypt", "gost-yescrypt", "scrypt", "bcrypt", "sha512crypt", "md5crypt")}}
    for name in [name for name, line in hashes.items() if not line]:
        skip(f"a hash of {name}", "what makes it is not installed")
        del hashes[name]
    write("# made by others\n\n" + "".join(f"{name}:{line}\n" for name, line in hashes.items()))
    helper = Helper()
    for name, line in hashes.items():
        ok(helper.allows(name, "secret") and not helper.allows(name, "secret2") and not helper.allows(name, "") and
           not helper.allows(name, line), f"{name}: {line[:12]}... takes its password, no other")
    ok(not helper.allows("nobody", "secret") and not helper.allows("our", "secret") and
       not helper.allows("ourss", "secret"), "a name that is not there, or only nearly")
    sent = [helper.send(name, "secret" if i % 3 else "no") for i, name in enumerate(list(hashes) * 3)]
    ok([helper.answer() for _ in sent] == [(number, int(i % 3 > 0)) for i, number in enumerate(sent)],
       f"{len(sent)} requests at once are answered in their order")
    ok(helper.said() == [] and helper.end() == 0, "it says nothing, and ends with the socket")


def odd_passwords():
    passwords = {"blanks": "  a b  ", "utf8": "p\u00e4ss w\u00f6rd \u20ac", "long": "x" * 127 + "y", "signs": "a:b$c\\d%s'\"`#"}
    write("".join(subprocess.run([USER, name], input=text.encode(), capture_output=True, check=True).stdout.decode()
                  for name, text in passwords.items()))
    helper = Helper()
    ok(all(helper.allows(name, text) for name, text in passwords.items()), "odd passwords, without a newline behind")
    ok(not helper.allows("long", "x" * 127) and not helper.allows("blanks", "a b"), "and nothing is cut off them")
    helper.end()


def changes():
    joe, ann = made(CHECK, "-m", "joe"), made(CHECK, "-m", "ann", password="other")
    os.path.exists(users) and os.unlink(users)
    helper = Helper()
    ok(not helper.allows("joe", "secret") and not helper.allows("joe", "secret") and
       helper.said() == [f"checkpassword: {users}: No such file or directory; nobody is let in"],
       "a file that is not there lets nobody in, and is spoken of once")
    write(joe + "\n")
    ok(helper.allows("joe", "secret") and not helper.allows("ann", "other"), "it comes")
    write(joe + "\n" + ann)
    ok(helper.allows("joe", "secret") and helper.allows("ann", "other"), "a user more")
    with open(users, "r+", encoding="ascii") as f:
        f.write("#")
    ok(not helper.allows("joe", "secret") and helper.allows("ann", "other"), "one less, by a byte written in place")
    lines = len(helper.said())
    write(ann + "\njoe:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\njoe\n")
    ok(helper.allows("ann", "other") and not helper.allows("joe", "secret") and helper.allows("ann", "other"),
       "a file with a mistake: those who were known stay")
    said = helper.said()[lines:]
    ok(len(said) == 1 and said[0].startswith(f"checkpassword: {users}: line 2: not a kind of hash that will do: ") and
       "$y$" in said[0] and said[0].endswith(" (and 1 more); the users known before stay"), f"which is said once: {said}")
    for text, why in ((f"#\n{ann}\nx:$2b$05${'C' * 52}\n", "line 3: the hash is cut short"),
                      ("#" * 65537, "too long, at most 65536 bytes")):
        write(text)
        ok(helper.allows("ann", "other") and
           helper.said()[-1] == f"checkpassword: {users}: {why}; the users known before stay", why)
    os.unlink(users)
    os.mkdir(users)
    ok(helper.allows("ann", "other") and "not a regular file" in helper.said()[-1], "a directory in its place")
    os.rmdir(users)
    ok(helper.allows("ann", "other") and "No such file" in helper.said()[-1], "and nothing")
    os.mkfifo(users)
    ok(helper.allows("ann", "other") and "not a regular file" in helper.said()[-1], "and a fifo that nobody writes")
    os.unlink(users)
    write("# nobody\n")
    lines = len(helper.said())
    ok(not helper.allows("ann", "other") and len(helper.said()) == lines, "a file with nobody in it is a good one")
    write(joe)
    ok(helper.allows("joe", "secret"), "and somebody again")
    lines = len(helper.said())
    write(f"{joe}\nbob:$2b$99${'C' * 53}\n")
    ok(not helper.allows("bob", "x") and not helper.allows("bob", "x") and helper.allows("joe", "secret") and
       helper.said()[lines:] == [f"checkpassword: {users}: bob: crypt(3) does not take this hash"],
       "a hash that looks right and is not is that user's trouble")
    helper.end()


def times():
    """CPU time, the least of five, so that a machine with much else to do does not count. Two kinds, of which the
    second is cheap (but not so cheap that a look at the file is most of it)."""
    write(made(CHECK, "-m", "joe") + "\nann:" + made("openssl", "passwd", "-5", "-stdin") + "\n")
    helper = Helper()

    def cost(name):
        spent = []
        for _ in range(5):
            before = helper.cpu()
            assert not helper.allows(name, "wrong")
            time.sleep(0.01)  # it goes to sleep, and the kernel counts up to there
            spent.append(helper.cpu() - before)
        return min(spent) / 1e6
    joe, ann = cost("joe"), cost("ann")
    unknown = [cost(f"nobody{i}") for i in range(6)]
    near = [any(1 / 2 < ms / one < 2 for one in (joe, ann)) for ms in unknown]
    ok(joe > 4 * ann, f"a dear hash, and a cheap one: {joe:.1f} and {ann:.2f} ms")
    ok(all(near), "a name that is not there costs what one that is does: " + " ".join(f"{ms:.2f}" for ms in unknown))
    write(made(CHECK, "-m", "joe") + "\n")
    unknown = [cost(f"nobody{i}") for i in range(3)]
    ok(all(1 / 2 < ms / joe < 2 for ms in unknown), f"{joe:.1f} ms: " + " ".join(f"{ms:.1f}" for ms in unknown))
    helper.end()


def memory(helper):
    """All that the process could write, but for a sanitizer's own tables, which are huge."""
    with open(f"/proc/{helper.process.pid}/mem", "rb") as mem:
        for line in helper.proc("maps").splitlines():
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if mode.startswith("rw") and end - start < 1 << 28:
                mem.seek(start)
                yield mem.read(end - start)


def hardened():
    write(made(CHECK, "-m", "joe", password="Tr0ub4dor&3"))
    helper = Helper()
    ok(helper.allows("joe", "Tr0ub4dor&3") and not helper.allows("joe", "Tr0ub4dor&4"), "a password worth looking for")
    if os.geteuid() == 0:
        ok(not any(b"Tr0ub4" in part for part in memory(helper)) and any(b"joe:$y$" in part for part in memory(helper)),
           "is nowhere in its memory any more, where the hashes are")
    else:
        skip("memory", "not root")
    ok("NoNewPrivs:\t1\n" in helper.proc("status"), "it can gain no privileges")
    ok([line.split()[4:6] for line in helper.proc("limits").splitlines() if line.startswith("Max core")] == [["0", "0"]],
       "and leaves no core")
    ok(sorted(os.listdir(f"/proc/{helper.process.pid}/fd")) == ["0", "1", "2"], "it holds no file open")
    helper.end()
    for what, message in (("too short", b"x"), ("empty user", struct.pack(REQUEST, 1, 65, 0, b"x", b"")),
                          ("long password", struct.pack(REQUEST, 1, 1, 129, b"x", b""))):
        helper = Helper()
        helper.socket.send(message)
        ok(helper.process.wait(20 * SLOW) == 1 and len(helper.said()) == 1, f"a request that is none: {what}")
        helper.socket.close()


def parents():
    """The socket's other end is held open here, so that only the parent's death can tell."""
    script = ("import os, socket, subprocess, sys, time\n"
              "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
              "c = subprocess.Popen(sys.argv[1:], stdin=b)\n"
              "keep = subprocess.Popen(['sleep', '60'], stdin=a)\n"
              "print(c.pid, keep.pid, flush=True)\n"
              "time.sleep(60)\n")
    parent = subprocess.Popen([sys.executable, "-c", script, CHECK, users], stdout=subprocess.PIPE)
    child, keep = (int(x) for x in parent.stdout.readline().split())

    def runs():
        try:
            with open(f"/proc/{child}/stat", encoding="ascii") as f:
                return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False
    time.sleep(0.3)
    alive = runs()
    parent.kill()
    parent.wait()
    ok(alive and wait_for(lambda: not runs()), "it dies with its parent")
    os.kill(keep, signal.SIGKILL)
    parent.stdout.close()
    helper = Helper(wrapper=("/bin/sh", "-c", '"$@"; exit $?', "sh"))
    ok(helper.process.wait(20 * SLOW) == 111, "it does not run for somebody who did not make the socket")
    helper.socket.close()
    run = subprocess.run([CHECK, users], stdin=subprocess.DEVNULL, capture_output=True)
    ok(run.returncode == 100 and run.stderr.count(b"\n") == 1, "nor without a socket")


def lines():
    def run(*args, data=b"secret\n"):
        return subprocess.run([CHECK, *args], input=data, capture_output=True)
    for name in ("joe", "Ann B", "-x", "a" * 64, "zo\u00e9", "a#"):
        run_ = run("-m", name)
        ok(run_.returncode == 0 and run_.stdout.startswith(name.encode() + b":$y$"), f"a line for {name[:10]}")
    for name in ("", "a:b", "#joe", " joe", "joe ", "a" * 65, "a\tb"):
        run_ = run("-m", name)
        ok(run_.returncode == 1 and run_.stderr.startswith(b"checkpassword: name: ") and not run_.stdout, f"none for {name[:10]!r}")
    for data, why in ((b"", b"empty"), (b"\n", b"empty"), (b"x" * 129, b"too long"), (b"x" * 129 + b"\n", b"too long"),
                      (b"a\0b\n", b"control"), (b"a\r\n", b"control"), (b"a\tb\n", b"control")):
        run_ = run("-m", "joe", data=data)
        ok(run_.returncode == 1 and why in run_.stderr and run_.stderr.count(b"\n") == 1 and not run_.stdout,
           f"no password: {data[:5]!r}...")
    ok(run("-m", "joe").stdout != run("-m", "joe").stdout, "twice the same password, two hashes")
    ok(run("-m", "joe", data=b"x" * 128).returncode == 0, "128 bytes, no newline")
    with open("/dev/full", "w", encoding="ascii") as full_:
        ok(subprocess.run([CHECK, "-m", "joe"], input=b"x\n", stdout=full_, stderr=subprocess.PIPE).returncode == 111,
           "nowhere to write it")


# --- fmp4streamer-user ---

def add(name, *args, password="secret", **more):
    return subprocess.run([USER, name, *args], input=password.encode() + b"\n", capture_output=True, **more)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def user_file():
    path = os.path.join(work, "list")
    run = add("joe", path, preexec_fn=lambda: os.umask(0o077))
    ok(run.returncode == 0 and not run.stdout + run.stderr and read(path).startswith(b"joe:$y$") and
       stat.S_IMODE(os.stat(path).st_mode) == 0o640, "a new file, mode 0640")
    os.chmod(path, 0o604)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = os.stat(path)
    ok(add("ann", path).returncode == 0 and [line[:4] for line in read(path).split(b"\n")] == [b"joe:", b"ann:", b""],
       "a second one behind the first")
    after = os.stat(path)
    ok((before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid) and
       before.st_ino != after.st_ino, "another file with the mode and the owner of the old one")
    odd = b"# joe:x\n\njoe:1\r\njoey:2\n  \\n\\\nj*:3\njoe:4\n.oe:5\nlast"
    for name, want in (("joe", b"# joe:x\n\nNEW\njoey:2\n  \\n\\\nj*:3\n.oe:5\nlast\n"),
                       ("j*", b"# joe:x\n\njoe:1\r\njoey:2\n  \\n\\\nNEW\njoe:4\n.oe:5\nlast\n"),
                       (".oe", b"# joe:x\n\njoe:1\r\njoey:2\n  \\n\\\nj*:3\njoe:4\nNEW\nlast\n"),
                       ("a b\\n", odd + b"\nNEW\n")):
        with open(path, "wb") as f:
            f.write(odd)
        run = add(name, path)
        got = [b"NEW" if line.startswith(name.encode() + b":$y$") else line for line in read(path).split(b"\n")]
        ok(run.returncode == 0 and b"\n".join(got) == want, f"{name} in a file of odd lines")
    link = os.path.join(work, "link")
    os.symlink("list", link)
    ok(add("ann", link).returncode == 0 and os.path.islink(link) and b"\nann:$y$" in read(path), "through a symbolic link")
    ok(add("joe", "rel", cwd=work).returncode == 0 and os.path.exists(os.path.join(work, "rel")), "a relative path")
    helper = Helper(os.path.join(work, "rel"))
    ok(helper.allows("joe", "secret") and add("joe", "rel", cwd=work, password="new").returncode == 0 and
       helper.allows("joe", "new") and not helper.allows("joe", "secret"), "a new password holds at once")
    helper.end()
    before = read(path)
    for status, what, run in ((1, "no password", add("joe", path, password="")), (1, "a bad name", add("a:b", path)),
                              (100, "a directory", add("joe", work)), (100, "one too many", add("joe", path, "x")),
                              (111, "no directory", add("joe", work + "/none/list")),
                              (111, "a directory that takes no file", add("joe", "/proc/list"))):
        said = run.stderr.decode()
        ok(run.returncode == status and not run.stdout and said.count("\n") == 1 and
           said.startswith(("fmp4streamer-user: ", "checkpassword: ")) and read(path) == before, f"{what}: {said.strip()}")
    ok(set(os.listdir(work)) <= {"users", "list", "link", "rel"}, "nothing lies about")
    elsewhere = os.path.join(work, "alone")
    shutil.copy(USER, elsewhere)
    run = subprocess.run([elsewhere, "joe"], input=b"x\n", capture_output=True, env={"PATH": os.environ["PATH"]})
    ok(run.returncode == 100 and b"checkpassword: not found" in run.stderr, "without its helper")
    run = subprocess.run([elsewhere, "joe"], input=b"x\n", capture_output=True, env={**os.environ, "BUILD": BUILD})
    ok(run.returncode == 0, "with the one that is in $BUILD")
    os.makedirs(os.path.join(work, "usr/bin"))
    os.makedirs(os.path.join(work, "usr/libexec/fmp4streamer"))
    shutil.copy(CHECK, os.path.join(work, "usr/libexec/fmp4streamer"))
    os.rename(elsewhere, os.path.join(work, "usr/bin/fmp4streamer-user"))
    run = subprocess.run(["fmp4streamer-user", "joe"], input=b"x\n", capture_output=True,
                         env={"PATH": os.path.join(work, "usr/bin") + ":" + os.environ["PATH"]})
    ok(run.returncode == 0 and run.stdout.startswith(b"joe:$y$"), "as it is installed")


class Terminal:
    """fmp4streamer-user at a terminal; what it shows is kept."""
    def __init__(self, *args):
        self.shown = b""
        self.fd, self.other = pty.openpty()
        self.process = subprocess.Popen([USER, *args], stdin=self.other, stdout=self.other, stderr=self.other,
                                        start_new_session=True, preexec_fn=self.log_in)

    @staticmethod
    def log_in():
        """What a shell's background job ignores, whoever sits at a terminal does not."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def look(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            self.shown += os.read(self.fd, 4096)

    def type(self, text, after):
        end = time.monotonic() + 20 * SLOW
        while after not in self.shown and time.monotonic() < end:
            self.look(0.1)
        os.write(self.fd, text)

    def echoes(self):
        return bool(termios.tcgetattr(self.other)[3] & termios.ECHO)

    def end(self, again=b""):
        """again: what is typed once more each second, as one does where a shell did not see it on its way to read."""
        end = time.monotonic() + 20 * SLOW
        while self.process.poll() is None and time.monotonic() < end:
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                os.write(self.fd, again)
        status = self.process.wait(0)
        self.look(0)
        return status

    def close(self):
        os.close(self.fd)
        os.close(self.other)


def terminal():
    path = os.path.join(work, "typed")
    t = Terminal("joe", path)
    t.type(b"hidden1\n", b"Password for joe: ")
    t.type(b"", b"Again: ")
    silent = not t.echoes()
    t.type(b"hidden1\n", b"Again: ")
    ok(t.end() == 0 and silent and t.shown == b"Password for joe: \r\nAgain: \r\n" and t.echoes(),
       "asks twice, and shows nothing")
    t.close()
    helper = Helper(path)
    ok(helper.allows("joe", "hidden1"), "what was typed is the password")
    helper.end()
    before = read(path)
    for how, status, keys in (("two that differ", 1, b"hidden2\n"), ("Ctrl-C", 130, b"\x03"), ("Ctrl-D", 1, b"\x04")):
        t = Terminal("joe", path)
        t.type(b"hidden1\n", b"Password for joe: ")
        t.type(keys, b"Again: ")
        got = t.end(keys if how == "Ctrl-C" else b"")
        ok(got == status and t.echoes() and read(path) == before and b"hidden" not in t.shown,
           f"{how}: status {got}, nothing changed, the terminal echoes again")
        t.close()
    ok(not [name for name in os.listdir(work) if name.startswith("typed.")], "nothing lies about")


try:
    for test in (kinds, odd_passwords, changes, times, hardened, parents, lines, user_file, terminal):
        test()
finally:
    shutil.rmtree(work)
sys.exit(finish())
