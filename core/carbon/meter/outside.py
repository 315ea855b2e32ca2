"""What a command starts that is none of its own processes, and so is neither stopped nor metered
with it."""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import PurePath

_DAEMON = "a service of this machine starts what it runs: that is not stopped and not ended with it"
_ELSEWHERE = "what it starts on other machines is neither metered nor stopped"
_ANOTHER_USER = "what it starts as another user can only be stopped and ended by that one"
_HOW = {
    _DAEMON: "docker podman nerdctl docker-compose tmux screen systemd-run at batch",
    _ELSEWHERE: "ssh srun sbatch salloc qsub bsub condor_submit kubectl ray mosh rsh pdsh clush",
    _ANOTHER_USER: "sudo doas su pkexec runuser",
}
WHY = {name: why for why, names in _HOW.items() for name in names.split()}
# These run the command that follows, after options of theirs.
_WRAPPERS = {
    "env", "nice", "ionice", "nohup", "time", "timeout", "stdbuf", "setsid", "exec", "command",
    "xargs",
}  # fmt: skip
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish"}
_BREAKS = set(";|&()\n")
_KEYWORDS = {"if", "then", "elif", "else", "while", "until", "do", "!", "{"}
_VALUED = {"-C", "-I", "-L", "-P", "-g", "-k", "-o", "-s", "-u"}  # of wrappers; a word follows
_ASSIGNED = re.compile(r"\w+=")
_SCRIPTED = re.compile("-[a-zA-Z]*c[a-zA-Z]*")


def beyond(command: Sequence[str]) -> str | None:
    """A sentence about the first part of the command that runs apart; None where none does."""
    for name in programs(command):
        if name in WHY:
            return f"{name}: {WHY[name]}"
    return None


def programs(command: Sequence[str]) -> Iterator[str]:
    """The names of the programs in a command, those in a shell's script too."""
    words = _begun(list(command))
    while words:
        name = PurePath(words[0]).name
        yield name
        if name in _SHELLS:
            yield from _script(words[1:])
            return
        if name not in {*_WRAPPERS, "sudo", "doas"}:
            return
        words = _begun(words[1:])


def _begun(words: list[str]) -> list[str]:
    """From the program's name on, without what a shell or a wrapper has before it."""
    while words and (
        words[0] in _KEYWORDS or words[0][:1] in "-0123456789" or _ASSIGNED.match(words[0])
    ):
        words = words[2 if words[0] in _VALUED else 1 :]
    return words


def _script(words: Sequence[str]) -> Iterator[str]:
    """The programs of a shell's -c, which may stand among other letters."""
    for option, text in pairwise(words):
        if _SCRIPTED.fullmatch(option):
            yield from scripted(text)
            return


def scripted(text: str) -> Iterator[str]:
    """The programs of a line of shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    part: list[str] = []
    with suppress(ValueError):  # a quote that does not end
        for word in lexer:
            if set(word) <= _BREAKS:
                yield from programs(part)
                part = []
            else:
                part.append(word)
    yield from programs(part)
