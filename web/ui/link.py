"""The address holds the view, the model and, where it is short enough, the drawing: a link reopens the same screen.

A stroke is written as its number of points, its width, whether it erases, and the way from point to point, in half pad
units, as variable-length integers in base64 with the two characters that are safe in an address. Nothing else needs
quoting: models are named in small letters and hyphens.
"""

import binascii

from pyscript import document, window

FARTHEST = 2800  # pad units: ten pads from its corner; beyond it a link is damaged
LONGEST = 1800  # characters of ink in an address; a longer drawing is kept by the tab alone


def _write(number: int, out: bytearray) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def encode(flat) -> str:
    """The packed strokes of `pad.flat()` as text, or "" when that would be too long."""
    out, i, total = bytearray(), 0, flat.length
    if total > LONGEST:
        return ""
    while i < total:
        count = int(flat[i])
        _write(count, out)
        _write(int(flat[i + 1] * 2) * 2 + int(flat[i + 2]), out)
        i += 3
        x = y = 0
        for _ in range(count):
            to_x, to_y = round(flat[i] * 2), round(flat[i + 1] * 2)
            _write(_zigzag(to_x - x), out)
            _write(_zigzag(to_y - y), out)
            x, y, i = to_x, to_y, i + 2
    text = binascii.b2a_base64(bytes(out)).decode().strip().replace("+", "-").replace("/", "_").rstrip("=")
    return text if len(text) <= LONGEST else ""


def decode(text: str) -> list:
    """The strokes of a link as (points, width, erase); an empty list when it makes no sense."""
    try:
        data = binascii.a2b_base64((text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)).encode())
    except Exception:  # of no particular kind: "Incorrect padding"
        return []
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    strokes, i = [], 0
    while i + 2 <= len(numbers):
        count, brush = numbers[i], numbers[i + 1]
        steps = numbers[i + 2 : i + 2 + 2 * count]
        if count == 0 or len(steps) < 2 * count:
            return []
        points, at = [], [0, 0]
        for j, step in enumerate(steps):
            at[j % 2] += step // 2 if step % 2 == 0 else -(step + 1) // 2
            points.append(at[j % 2] / 2)
        if max(points) > FARTHEST or min(points) < -FARTHEST or not 2 <= brush // 2 <= FARTHEST:
            return []
        strokes.append((points, (brush // 2) / 2, brush % 2))
        i += 2 + 2 * count
    return strokes


_known = {"hash": window.location.hash}  # as last read or written


def read() -> dict:
    """What the address says, e.g. {"view": "draw", "model": "ann", "ink": "..."}."""
    _known["hash"] = window.location.hash
    parts = window.location.hash.lstrip("#").split("?", 1)
    state = {"view": parts[0] or "draw"}
    if len(parts) == 2:
        for pair in parts[1].split("&"):
            name, _, value = pair.partition("=")
            state[name] = value
    return state


def write(state: dict, new_entry: bool = False) -> None:
    """Put the state into the address. `new_entry`: so that Back leads to what was before.

    An address that has just been called up, and is still to be followed, is not written over.
    """
    if window.location.hash != _known["hash"] and not new_entry:
        return
    said = [(name, value) for name, value in state.items() if value and name != "view"]
    pairs = "&".join([f"{name}={value}" for name, value in said])
    address = "#" + state.get("view", "draw") + ("?" + pairs if pairs else "")
    if address != window.location.hash:
        window.early.address(window.location.pathname + window.location.search + address, new_entry)
        _known["hash"] = window.location.hash


def forced_backend() -> str:
    """The backend asked for with ?backend=, or ""."""
    return window.URLSearchParams.new(document.location.search).get("backend") or ""
