"""Reads archives from stdin, each after its length as 4 bytes, and says in a line of its own what is in it (main.rs, `Seen`)."""
import io
import struct
import sys
import tarfile
import zlib

MOST = 1 << 20


def octets(text):
    return text.encode("utf-8", "surrogateescape")


def kind(entry):
    if entry.issym():
        return "symlink"
    if entry.islnk():
        return "hardlink"
    if entry.isdir():
        return "directory"
    if entry.ischr():
        return "char"
    if entry.isblk():
        return "block"
    if entry.isfifo():
        return "fifo"
    return "file" if entry.isreg() else "type %r" % entry.type


def line(archive, entry):
    what = kind(entry)
    link = octets(entry.linkname) if what in ("symlink", "hardlink") else b""
    size, check = 0, 0
    if what == "file":
        size = entry.size
        if size <= MOST:
            data = archive.extractfile(entry).read()
            if len(data) != size:
                raise tarfile.ReadError("short")
            check = zlib.crc32(data)
    return "%s,%s,%d,%s,%x" % (octets(entry.name).hex(), what, size, link.hex(), check)


def read(data):
    said = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            for entry in archive:
                said.append(line(archive, entry))
    except Exception as error:  # whatever it is: it did not read the archive
        said.append("!" + " ".join(("%s %s" % (type(error).__name__, error)).split()))
    return "|".join(said)


while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    print(read(sys.stdin.buffer.read(struct.unpack("<I", head)[0])), flush=True)
