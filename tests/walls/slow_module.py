"""Modules made to be slow to compile."""
import random


def leb(value):
    out = b""
    while True:
        byte, value = value & 0x7F, value >> 7
        if value == 0:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def section(kind, content):
    return bytes([kind]) + leb(len(content)) + content


def vector(items):
    return leb(len(items)) + b"".join(items)


def make(blocks, locals_, seed):
    pick = random.Random(seed)
    get = [b"\x20" + leb(i) for i in range(locals_)]
    put = [b"\x21" + leb(i) for i in range(locals_)]
    code = bytearray()
    for _ in range(blocks):
        # loop; a = b + c; br_if back
        code += b"\x03\x40" + pick.choice(get) + pick.choice(get) + b"\x6a" + pick.choice(put)
        code += pick.choice(get) + b"\x0d\x00" + b"\x0b"
    body = vector([leb(locals_) + b"\x7f"]) + bytes(code) + b"\x0b"
    return (b"\0asm\1\0\0\0" + section(1, vector([b"\x60\0\0"])) + section(3, vector([b"\0"]))
            + section(5, vector([b"\0\1"]))
            + section(7, vector([b"\6_start\0\0", b"\6memory\2\0"])) + section(10, vector([leb(len(body)) + body])))
