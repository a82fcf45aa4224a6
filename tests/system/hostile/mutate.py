"""Damages copies of samples: bytes, lengths, numbers in text, parts of JSON; by a seed."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
from pathlib import Path
from typing import Any

__all__ = ["damaged", "remove"]

TEXT = (".json", ".xml", ".nhdr", ".zarray", ".zattrs", ".zgroup", "info", "attributes.json")

NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31)
NUMBERS += ((1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)

SMALL = 1 << 20
"""Bytes of files that are damaged; others were already made long."""

WORDS = ("-1", "0", "1", "-0", "1e400", "-1e400", "1e308", "1e-308", "NaN", "null", "true", '""')
WORDS += ("[]", "{}", '"\\u0000"', '"\\ud800"', "[" * 50, "9" * 400, "0.5", "-64", '"../x"')
WORDS += tuple(map(str, NUMBERS))


def damaged(seed: str, samples: Path, folder: Path) -> Path:
    """Copy a sample into a folder and damage the copy; return the channel's path."""
    rng = random.Random(seed)
    names = sorted(each.name for each in samples.iterdir())
    sample = samples / rng.choice(names)
    shutil.copytree(sample, folder)
    (folder / "channel").unlink()
    path = Path(json.loads((sample / "channel").read_text()))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        files = [each for each in files if each.stat().st_size < SMALL]
        if files:
            # Metadata say what to do with everything else.
            first = [each for each in files if each.name.endswith(TEXT)]
            file = rng.choice(first if first and rng.random() < 0.6 else files)
            _damage(rng, file, samples / rng.choice(names))
    return folder / path.relative_to(sample)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _damage(rng: random.Random, file: Path, other: Path) -> None:
    data = file.read_bytes()
    if file.name.endswith(TEXT) and rng.random() < 0.85:
        file.write_bytes(rng.choice((_words, _json, _json))(rng, data))
        return
    kind = rng.random()
    if kind < 0.02:
        file.unlink()
    elif kind < 0.03:
        file.unlink()
        file.mkdir()
    elif kind < 0.06:
        with file.open("ab") as longer:
            longer.truncate(rng.choice((1 << 21, 3 << 30, 1 << 36)))
    elif kind < 0.14:
        file.write_bytes(data[: rng.randrange(len(data) + 1)])
    elif kind < 0.2:
        found = [each for each in sorted(other.rglob("*")) if each.is_file()]
        file.write_bytes(_spliced(rng, data, rng.choice(found).read_bytes()))
    elif kind < 0.3 and re.search(rb"\d", data[:4096]):
        file.write_bytes(_words(rng, data[:4096]) + data[4096:])
    else:
        file.write_bytes(_bytes(rng, data))


def _place(rng: random.Random, data: bytes) -> int:
    """Choose a place, most often near either end, where headers and directories are."""
    size = max(1, len(data))
    near = min(size, rng.choice((32, 256, 2048)))
    kind = rng.random()
    if kind < 0.5:
        return rng.randrange(near)
    return size - 1 - rng.randrange(near) if kind < 0.7 else rng.randrange(size)


def _bytes(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = _place(rng, changed)
        match rng.randrange(6):
            case 0 if changed:
                changed[at] ^= 1 << rng.randrange(8)
            case 1 if changed:
                changed[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
            case 2 | 3:
                form, bits = rng.choice((("H", 16), ("I", 32), ("Q", 64)))
                value = rng.choice(NUMBERS) & (1 << bits) - 1
                packed = struct.pack(rng.choice("<>") + form, value)
                changed[at : at + len(packed)] = packed
            case 4:
                del changed[at : at + rng.choice((1, 2, 4, 8, 64))]
            case _:
                changed[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 64)))
    return bytes(changed)


def _spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _words(rng: random.Random, data: bytes) -> bytes:
    """Put other numbers where numbers are in a text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    chosen = rng.sample(found, min(len(found), rng.choice((1, 1, 2))))
    for match in sorted(chosen, key=lambda match: -match.start()):
        data = data[: match.start()] + rng.choice(WORDS).encode() + data[match.end() :]
    return data


def _json(rng: random.Random, data: bytes) -> bytes:
    """Change, leave out or repeat a part of a document."""
    try:
        document = json.loads(data)
    except ValueError:
        return _bytes(rng, data)
    parts = list(_parts(document))
    if not parts:
        return _bytes(rng, data)
    holder, key = rng.choice(parts)
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder[key:key] = [holder[key]] * rng.choice((1, 3, 300))
        case 2:
            other, at = rng.choice(parts)
            holder[key] = json.loads(json.dumps(other[at]))
        case _:
            holder[key] = "@"
            word = rng.choice(WORDS).encode()
            return json.dumps(document).encode().replace(b'"@"', word)
    return json.dumps(document).encode()


def _parts(value: Any) -> Any:
    listed = range(len(value)) if isinstance(value, list) else ()
    for key in list(value) if isinstance(value, dict) else listed:
        yield value, key
        yield from _parts(value[key])
