"""What a folder can look like after a power cut: its server's system calls, recorded by strace and replayed.

The model is POSIX at its worst: a file's bytes are on the disk once it was synced, a name once its folder was. What
was not synced may be there or not, each write and each name for itself.
"""
import pathlib
import random
import re

CALLS = ("openat,open,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,"
         "mkdir,mkdirat,rmdir,lseek")
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")


def strace(output):
    """The words before a program's own; the program keeps its parent and its pid."""
    return (f"strace -D -f -qq -y -ttt -xx -s 100000000 --seccomp-bpf -e trace={CALLS} -o {output}")


def _bytes(text):
    return bytes.fromhex(text.replace("\\x", ""))


class Call:
    def __init__(self, began, ended, text):
        self.began, self.ended = began, ended
        self.name, rest = text.split("(", 1)
        arguments, _, result = rest.rpartition(") = ")
        self.arguments = arguments.rstrip().removesuffix(")")
        self.result = int(re.match(r"-?\d+", result).group()) if re.match(r"-?\d", result) else -1
        self.strings = [_bytes(s) for s in _STRING.findall(arguments)]
        fd = _FD.match(arguments)
        self.fd, self.fd_path = (int(fd[1]), _bytes(fd[2]).decode()) if fd else (None, None)
        self.numbers = [int(n) for n in re.findall(r", (-?\d+)", _STRING.sub("", arguments))]


def calls(output):
    """The calls in the order in which they ended. A sync's effect is that of the moment at which it began."""
    begun, found = {}, []
    for line in pathlib.Path(output).read_text().splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        pid, when, text = match[1], float(match[2]), match[3]
        if text.endswith("<unfinished ...>"):
            begun[pid] = (when, text.removesuffix("<unfinished ...>"))
        elif text.startswith("<... "):
            began, head = begun.pop(pid)
            found.append(Call(began, when, head.rstrip() + text.split("resumed>", 1)[1]))
        elif "(" in text and " = " in text:
            found.append(Call(when, when, text))
    return [call for call in found if call.result >= 0]


class _File:
    def __init__(self):
        self.pending, self.durable = [], b""  # pending: (when, offset, bytes), or None for bytes: cut to offset.


class _Folder:
    def __init__(self):
        self.now, self.pending, self.durable = {}, [], {}  # pending: (when, name, node or None, call's number).


def _apply(content, writes):
    content = bytearray(content)
    for _, offset, data in writes:
        if data is None:
            content = content[:offset].ljust(offset, b"\0")
            continue
        content = content.ljust(offset, b"\0")
        content[offset:offset + len(data)] = data
    return bytes(content)


class Disk:
    """The folder `root`, call by call."""

    def __init__(self, root):
        self.root_path, self.root, self.offsets, self.number = str(root), _Folder(), {}, 0

    def _parts(self, path):
        path = path.decode() if isinstance(path, bytes) else path
        if not path.startswith(self.root_path + "/"):
            return [] if path == self.root_path else None
        return path[len(self.root_path) + 1:].split("/")

    def _find(self, path):
        parts, node = self._parts(path), self.root
        if parts is None:
            return None
        for part in parts:
            node = node.now.get(part) if isinstance(node, _Folder) else None
        return node

    def _name(self, path, node, when):
        parts = self._parts(path)
        if not parts:
            return
        folder = self.root
        for part in parts[:-1]:
            folder = folder.now.get(part)
            if folder is None:
                return
        if node is None:
            folder.now.pop(parts[-1], None)
        else:
            folder.now[parts[-1]] = node
        folder.pending.append((when, parts[-1], node, self.number))

    def apply(self, call):
        """Returns whether the call concerned the folder."""
        self.number += 1
        name = call.name
        if name in ("open", "openat", "creat"):
            return self._open(call)
        if name.startswith("rename"):
            node = self._find(call.strings[0])
            if node is not None:
                self._name(call.strings[0], None, call.ended)
                self._name(call.strings[1], node, call.ended)
            return node is not None
        if name.startswith("mkdir"):
            self._name(call.strings[0], _Folder(), call.ended)
            return self._parts(call.strings[0]) is not None
        if name.startswith("unlink") or name == "rmdir":
            self._name(call.strings[0], None, call.ended)
            return self._parts(call.strings[0]) is not None
        node = self._find(call.fd_path) if call.fd_path else None
        if node is None:
            return False
        if name in ("fsync", "fdatasync"):
            self._sync(node, call.began)
        elif isinstance(node, _File):
            self._write(node, call)
        return True

    def _open(self, call):
        path = call.strings[0]
        self.offsets[call.result] = 0
        if self._parts(path) is None:
            return False
        node = self._find(path)
        if node is None and ("O_CREAT" in call.arguments or call.name == "creat"):
            node = _File()
            self._name(path, node, call.ended)
        elif isinstance(node, _File) and "O_TRUNC" in call.arguments:
            node.pending.append((call.ended, 0, None))
        return True

    def _write(self, node, call):
        if call.name == "ftruncate":
            node.pending.append((call.ended, call.numbers[0], None))
        elif call.name == "lseek":
            self.offsets[call.fd] = call.result
        elif call.name == "pwrite64":
            node.pending.append((call.ended, call.numbers[-1], call.strings[0][:call.result]))
        else:
            offset = self.offsets.get(call.fd, 0)
            node.pending.append((call.ended, offset, b"".join(call.strings)[:call.result]))
            self.offsets[call.fd] = offset + call.result

    @staticmethod
    def _sync(node, began):
        done = [entry for entry in node.pending if entry[0] <= began]
        node.pending = [entry for entry in node.pending if entry[0] > began]
        if isinstance(node, _File):
            node.durable = _apply(node.durable, done)
            return
        for _, name, child, _ in done:
            node.durable.pop(name, None) if child is None else node.durable.__setitem__(name, child)

    def write_to(self, folder, kept):
        """Makes `folder` what the disk holds if `kept(number)` says of each thing that was not synced whether it is
        there; numbers are the same for both halves of a rename."""
        self._write_folder(self.root, pathlib.Path(folder), kept)

    def _write_folder(self, node, folder, kept):
        folder.mkdir(parents=True, exist_ok=True)
        names = dict(node.durable)
        for _, name, child, number in node.pending:
            if kept(number):
                names.pop(name, None) if child is None else names.__setitem__(name, child)
        for name, child in names.items():
            if isinstance(child, _Folder):
                self._write_folder(child, folder / name, kept)
            else:
                writes = [entry for entry in child.pending if kept(None)]
                (folder / name).write_bytes(_apply(child.durable, writes))


def all_written(_):
    return True


def only_synced(_):
    return False


def some_of_it(seed):
    chance, names = random.Random(seed), {}

    def kept(number):
        return names.setdefault(number, chance.random() < 0.5) if number is not None else chance.random() < 0.5
    return kept
