"""Runs the program fat, and makes the small files the tests need, with Python's standard library alone."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("FAT_PROGRAM") or str(PROJECT / "build" / "fat")
DATA = pathlib.Path(os.environ.get("FAT_DATA_DIR") or PROJECT.parent / "shared" / "data")


def fat(*words):
    """Runs fat; returns exit code, stdout and stderr."""
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.holder.name)
        self.addCleanup(self.holder.cleanup)

    def succeed(self, *words):
        """Runs fat, which has to succeed; returns stdout and stderr."""
        code, out, err = fat(*words)
        self.assertEqual(code, 0, f"fat {' '.join(map(str, words))}: {err}")
        return out, err

    def figures(self, *words):
        """The same with --json; returns the parsed figures. NaN and Infinity are no JSON."""
        path = self.folder / "figures.json"
        self.succeed(*words, "--json", path)

        def refuse(name):
            raise ValueError(f"{name} in the figures of fat {' '.join(map(str, words))}")

        return json.loads(path.read_text(), parse_constant=refuse)

    def refused(self, *words, says, leaves=()):
        """Runs fat, which has to fail with one line on stderr that holds every text of `says`, writing none of `leaves`."""
        before = set(self.folder.rglob("*"))
        code, out, err = fat(*words)
        self.assertEqual(code, 1, f"exit code {code} for fat {' '.join(map(str, words))}\n{out}{err}")
        lines = [line for line in err.splitlines() if line.startswith("fat: ") and not line.startswith("fat: note: ")
                 and " skipped " not in line]
        self.assertEqual(len(lines), 1, f"one line is wanted: {err}")
        for text in says:
            self.assertIn(str(text), lines[0])
        for path in leaves:
            self.assertFalse(pathlib.Path(path).exists(), f"{path} was left behind")
        self.assertEqual(set(self.folder.rglob("*")), before, "a failed run left files behind")
        return err


def main():
    """Runs the module's tests; skipped ones are named and make exit code 77."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    for test, reason in program.result.skipped:
        print(f"SKIPPED {test.id()}: {reason}")
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if program.result.skipped else 0)


def write_png(path, width, height, seed=0):
    """A noisy RGB picture."""
    state = seed * 2654435761 + 1
    rows = bytearray()
    for _ in range(height):
        rows.append(0)
        for _ in range(3 * width):
            state = (state * 1103515245 + 12345) % (1 << 31)
            rows.append(state >> 16 & 255)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) +
                                   chunk(b"IEND", b""))


def write_npy(path, shape, values):
    """A float32 array."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header +
                                   struct.pack(f"<{len(values)}f", *values))


def read_npy(path):
    """Shape and values of a float32, int8 or uint8 array."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + length], {"__builtins__": {}})  # a literal dictionary
    kind = {"<f4": "f", "|i1": "b", "|u1": "B"}[header["descr"]]
    body = data[10 + length:]
    return header["shape"], struct.unpack(f"<{len(body) // struct.calcsize(kind)}{kind}", body)


# The little of the protocol-buffer format that an ONNX file needs: https://protobuf.dev/programming-guides/encoding
def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])


def number(field, value):
    return varint(field * 8) + varint(value)


def message(field, body):
    body = body.encode() if isinstance(body, str) else body
    return varint(field * 8 + 2) + varint(len(body)) + body


def tensor(name, shape, values):
    return b"".join(number(1, n) for n in shape) + number(2, 1) + message(8, name) + message(9, struct.pack(f"<{len(values)}f", *values))


def value_info(name, shape):
    sizes = b"".join(message(1, message(2, n) if isinstance(n, str) else number(1, n)) for n in shape)
    return message(1, name) + message(2, message(1, number(1, 1) + message(2, sizes)))


def node(kind, inputs, output, name=None, **integers):
    """With attributes that are lists of integers."""
    attributes = b"".join(message(5, message(1, key) + b"".join(number(8, v) for v in values) + number(20, 7))
                          for key, values in integers.items())
    name = output + "/node" if name is None else name
    return b"".join(message(1, i) for i in inputs) + message(2, output) + message(3, name) + message(4, kind) + attributes


def write_onnx(path, weights=None, activation="Relu", size=8, name=None, variance=None, **conv):
    """Conv 3 -> 4 channels (1x1), an activation, mean over the picture: 4 classes of a `size` x `size` picture. `name` is that of
    the activation's node, `conv` the attributes of the convolution. With a variance, a batch normalization stands behind it."""
    weights = weights or [0.1 * (i % 7) - 0.25 for i in range(12)]
    graph = b"".join(message(1, n) for n in (
        node("Conv", ["input", "w", "b"], "conv", **conv), node("BatchNormalization", ["conv", "b", "b", "b", "v"], "bn"),
        node(activation, ["conv" if variance is None else "bn"], "active", name),
        node("GlobalAveragePool", ["active"], "mean"), node("Flatten", ["mean"], "scores")))
    graph += message(2, "small") + message(5, tensor("w", [4, 3, 1, 1], weights)) + message(5, tensor("b", [4], [0.5, 0.1, -0.1, 0.0]))
    graph += message(5, tensor("v", [4], [variance or 1.0] * 4))
    graph += message(11, value_info("input", ["N", 3, size, size])) + message(12, value_info("scores", ["N", 4]))
    pathlib.Path(path).write_bytes(number(1, 7) + message(7, graph) + message(8, message(1, "") + number(2, 13)))
