"""Python imports this at its start where this folder is in PYTHONPATH: it, and every process that
it starts, tells the file DLN_WATCH of each look-up, connection and file written out of DLN_ROOT.

Code in C++ passes Python's hooks by: on Linux the kernel itself ends (SIGSYS) what opens a socket
of IPv4, or one of IPv6 that asks for names, and faulthandler says on stderr where that was. A
stream of IPv6 may be opened: urllib3 tries so whether there is IPv6, and sends nothing.
"""

import ctypes
import faulthandler
import os
import platform
import signal
import sys

LOOK_UPS = {f"socket.{name}" for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr")}
SENDINGS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MADE = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}  # which argument is the path
SOCKET_CALL = {"x86_64": 41, "aarch64": 198}  # the system call's number
IPV4, IPV6, DATAGRAM = 2, 10, 2

root = os.environ.get("DLN_ROOT", "")
log = os.open(os.environ["DLN_WATCH"], os.O_WRONLY | os.O_APPEND) if root else -1


def hook(event: str, args: tuple) -> None:
    if event in LOOK_UPS or (event in SENDINGS and isinstance(args[1], tuple)):
        tell(f"{event} {args}")
    elif event == "open" and args[2] is not None and args[2] & WRITING:
        check_place(event, args[0])
    elif event in MADE:
        check_place(event, args[MADE[event]])


def check_place(event: str, path: object) -> None:
    if isinstance(path, str | bytes):
        place = os.path.abspath(os.fsdecode(path))
        if not place.startswith((root, "/dev/", "/proc/")):
            tell(f"{event} {place}")


def tell(what: str) -> None:
    os.write(log, f"{what}\n".encode(errors="replace"))


def forbid_sockets(number: int) -> None:
    """A filter of system calls (seccomp(2)), which needs no privilege and children inherit."""
    allow, trap = 0x7FFF0000, 0x00030000
    load, equal, cut, give = 0x20, 0x15, 0x54, 0x06
    program = [
        (load, 0, 0, 0),  # the call's number
        (equal, 0, 6, number),
        (load, 0, 0, 16),  # its first argument: the family
        (equal, 5, 0, IPV4),
        (equal, 0, 3, IPV6),
        (load, 0, 0, 24),  # its second one: the kind, above it flags
        (cut, 0, 0, 0xF),
        (equal, 1, 0, DATAGRAM),
        (give, 0, 0, allow),
        (give, 0, 0, trap),
    ]

    class Line(ctypes.Structure):
        _fields_ = (("code", ctypes.c_ushort), ("then", ctypes.c_ubyte), ("other", ctypes.c_ubyte),
                    ("value", ctypes.c_uint))  # fmt: skip

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.POINTER(Line)))

    lines = (Line * len(program))(*(Line(*line) for line in program))
    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges: the condition of the next
    libc.prctl(22, 2, ctypes.byref(Program(len(program), lines)))


if root:
    if sys.platform == "linux" and platform.machine() in SOCKET_CALL:
        faulthandler.register(signal.SIGSYS, chain=True)
        forbid_sockets(SOCKET_CALL[platform.machine()])
    sys.addaudithook(hook)
