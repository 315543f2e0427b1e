"""A Debian 12 in QEMU, made by build: started, asked, started again, ended. Its disk is a copy that goes with it."""
import base64
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

KERNEL_OPTIONS = ("console=ttyS0 quiet loglevel=3 panic=0 oops=panic mitigations=off nokaslr no_timer_check"
                  " clocksource=hpet tsc=unstable systemd.show_status=error")
BOOT_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LOOK_SECONDS = 2  # how often the console is looked at while nothing comes


class Gone(Exception):
    """The guest did not do what it was asked for; with the last it said on its console."""


class Machine:
    """build: $BUILD. ports: {guest port: port of 127.0.0.1}. A panic stops the guest, and whoever waits for it is told;
    QEMU's own exit status is not looked at, since it is 0 after one."""
    def __init__(self, build, ports, cpus=2, memory=1024):
        guest, debian = os.path.join(build, "guest"), os.path.join(build, "guest-debian")
        self.dir = tempfile.mkdtemp()
        disk = os.path.join(self.dir, "disk")
        subprocess.run(["cp", "--sparse=always", os.path.join(debian, "disk"), disk], check=True)
        self.console = os.path.join(self.dir, "console")
        port = os.path.join(self.dir, "agent")
        forward = "".join(f",hostfwd=tcp:127.0.0.1:{own}-:{guests}" for guests, own in ports.items())
        self.process = subprocess.Popen([
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi", "-smp", str(cpus), "-m", str(memory),
            "-kernel", os.path.join(guest, "kernel"), "-initrd", os.path.join(debian, "initramfs"),
            "-append", KERNEL_OPTIONS,
            "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={port},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=agent",
            "-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-fsdev", f"local,id=share,path={debian}/share,security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=share"], stdin=subprocess.DEVNULL)
        self.agent, self.said = socket.socket(socket.AF_UNIX), b""
        while self.agent.connect_ex(port) != 0:
            if self.process.poll() is not None:
                self.end()
                raise Gone("QEMU did not start")
            time.sleep(0.05)

    def line(self, seconds):
        """The next line at the agent's port."""
        end = time.monotonic() + seconds
        while b"\n" not in self.said:
            self.agent.settimeout(LOOK_SECONDS)
            try:
                got = self.agent.recv(1 << 16)
                alive = bool(got)
                self.said += got
            except TimeoutError:
                alive = "Kernel panic" not in self.last_said()
            if not alive or time.monotonic() > end:
                raise Gone(f"no answer {'within ' + str(round(seconds)) + ' s' if alive else 'any more'}; on its console:"
                           f" {self.last_said()}")
        line, _, self.said = self.said.partition(b"\n")
        return line.decode()

    def last_said(self):
        with open(self.console, encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def booted(self, seconds):
        """Waits until it has started; the boot's number."""
        end = time.monotonic() + seconds
        while not BOOT_ID.fullmatch(line := self.line(max(1, end - time.monotonic()))):
            pass
        return line

    def reboot(self, seconds):
        """Starts it anew, in order; the new boot's number. The answer to that may get lost."""
        self.agent.sendall(base64.b64encode(b"systemctl reboot") + b"\n")
        return self.booted(seconds)

    def ask(self, script, seconds=60):
        """Has bash run a script in the guest, as root: (exit status, output and errors)."""
        self.agent.sendall(base64.b64encode(script.encode()) + b"\n")
        status, _, output = self.line(seconds).partition(" ")
        return int(status), base64.b64decode(output).decode(errors="replace")

    def end(self):
        self.agent.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)
