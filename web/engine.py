"""The engine: Pyodide in a worker, a thin layer over handlens.

It unpacks what the page sends, calls the core, and packs what the core answers. Every number the page shows comes from
here, and here every number comes from handlens. Each call is short; a long list of models is worked through with the
event loop free in between, so that the newest ink is never kept waiting.
"""

import asyncio
import time

import js
import pyodide_js
from pyodide.ffi import to_js

failure = ""
try:
    await pyodide_js.loadPackage("handlens")  # noqa: F704  (PyScript runs this file inside a coroutine); numpy comes along
    import handlens
    import numpy as np
except Exception as error:  # reported by status(): an engine that raises here would answer nothing at all
    failure = f"{type(error).__name__}: {error}"

LONGEST_SIDE = 1024  # px: a photograph is scaled down by the browser before NumPy sees it

# Layers drawn in the strip. The others repeat what stands beside them: normalised, flattened, or as probabilities.
SHOWN = ("Conv2D", "ReLU", "LeakyReLU", "Sigmoid", "Tanh", "MaxPool2D", "AvgPool2D", "GlobalAvgPool2D", "Dense")

models: dict = {}
last: dict = {"image": None, "prepared": None, "extent": None}  # what was read last, for the questions that follow


def pack(value: object) -> object:
    """Turn dicts, lists and flat arrays into plain objects and typed arrays that cross to the page as a message."""
    return to_js(value, dict_converter=js.Object.fromEntries)


def flat(array: object) -> object:
    """One row of float32, whatever the shape: a typed array on the other side."""
    return np.ascontiguousarray(array, dtype=np.float32).ravel()


def raster(array: object) -> dict:
    """A 2-D array with its size, for painting."""
    return {"width": int(array.shape[1]), "height": int(array.shape[0]), "values": flat(array)}


def status() -> object:
    """Whether the engine stands, which version it is, and which backends can run here and why not."""
    if failure:
        return pack({"ok": False, "error": failure})
    return pack(
        {
            "ok": True,
            "error": "",
            "version": handlens.__version__,
            "backend": "numpy",
            "backends": dict(handlens.backends.available()),
        }
    )


async def load_model(name: str, address: str) -> object:
    """Fetch one file of weights and load it under `name`. Raises what handlens says about a file it cannot use."""
    response = await js.fetch(address)
    if not response.ok:
        raise OSError(f"{address.rsplit('/', 1)[-1]}: the server answered {response.status}")
    models[name] = handlens.load((await response.arrayBuffer()).to_bytes())
    return pack({"name": name})


def answer(image: object, name: str, preparing: float) -> dict:
    """Ten probabilities for one prepared image, and how long they took."""
    last["image"] = image
    started = time.perf_counter()
    probabilities = models[name].predict(image[None, None])[0]
    ended = time.perf_counter()
    first, second = (int(i) for i in np.argsort(-probabilities, kind="stable")[:2])
    return {
        "blank": False,
        "model": name,
        "digit": first,
        "second": second,
        "probabilities": flat(probabilities),
        "seen": flat(image),
        "prepare_ms": preparing * 1e3,
        "ms": (ended - started) * 1e3,
    }


def steps() -> object:
    """How the ink read last became 28 x 28, to be shown step by step; null for a picture that came as 28 x 28.

    The box is in pixels of the raster `ink`.
    """
    prepared, extent = last["prepared"], last["extent"]
    if prepared is None:
        return None
    ink = prepared.ink
    scale = ink.shape[1] / extent if extent else 1.0  # the box of strokes is in pad units, that of a file in pixels
    return pack(
        {
            "ink": raster(ink),
            "crop": raster(prepared.crop),
            "fitted": raster(prepared.fitted),
            "box": [float(edge) * scale for edge in prepared.box],
        }
    )


def read(strokes: object, extent: float, name: str) -> object:
    """Read a drawing: packed strokes in pad units, the pad `extent` units wide, with the model called `name`."""
    started = time.perf_counter()
    drawn = handlens.strokes.unpack(np.asarray(strokes.to_py(), dtype=np.float32))
    prepared = handlens.strokes.prepare(drawn, extent)
    last.update(image=None, prepared=prepared, extent=extent)
    if prepared is None:  # nothing drawn, or all of it erased
        return pack({"blank": True})
    return pack(answer(prepared.image, name, time.perf_counter() - started))


def read_pixels(values: object, name: str) -> object:
    """Read 784 numbers in 0..1 as they are: a test image, or numbers edited by hand."""
    image = np.asarray(values.to_py(), dtype=np.float32).reshape(28, 28)
    made_from = last["prepared"]
    if made_from is None or not np.array_equal(made_from.image, image):  # else: the file that was prepared just now
        last.update(image=None, prepared=None)
    if not image.any():
        return pack({"blank": True})
    return pack(answer(image, name, 0.0))


async def prepare_file(data: object, kind: str) -> object:
    """Decode an image file with the browser's decoders and prepare it as strokes are. `error` says why it cannot be."""
    try:
        blob = js.Blob.new(to_js([data]), to_js({"type": kind}, dict_converter=js.Object.fromEntries))
        bitmap = await js.createImageBitmap(blob)
    except Exception:  # a DOMException without a useful message: the browser knows no such format
        return pack({"error": "not an image"})
    scale = min(1.0, LONGEST_SIDE / max(bitmap.width, bitmap.height))
    width, height = max(1, round(bitmap.width * scale)), max(1, round(bitmap.height * scale))
    context = js.OffscreenCanvas.new(width, height).getContext("2d")
    context.imageSmoothingQuality = "high"
    context.drawImage(bitmap, 0, 0, width, height)
    bitmap.close()
    pixels = np.asarray(context.getImageData(0, 0, width, height).data.to_py(), dtype=np.uint8)
    prepared = handlens.images.prepare(pixels.reshape(height, width, 4))
    if prepared is None:
        return pack({"error": "no ink"})
    last.update(image=None, prepared=prepared, extent=None)
    return pack({"error": "", "values": flat(prepared.image)})


async def compare() -> object:
    """What every loaded model makes of the image read last."""
    image, rows = last["image"], []
    for name, model in list(models.items()):
        if image is None or image is not last["image"]:
            break  # newer ink has come in: this comparison is of no use any more
        started = time.perf_counter()
        probabilities = model.predict(image[None, None])[0]
        digit = int(np.argmax(probabilities))
        rows.append(
            {
                "name": name,
                "digit": digit,
                "probability": float(probabilities[digit]),
                "ms": (time.perf_counter() - started) * 1e3,
            }
        )
        await asyncio.sleep(0)
    return pack(rows)


def trace(name: str) -> object:
    """The layers' maps for the image read last, with the range of their values."""
    if last["image"] is None:
        return pack([])
    shown = {"input", "probabilities"} | {layer.name for layer in models[name].layers if type(layer).__name__ in SHOWN}
    layers = []
    for layer, value in models[name].trace(last["image"][None, None]).items():
        if layer not in shown:
            continue
        maps = value[0] if value.ndim == 4 else value.reshape(1, 1, -1)
        low, high = float(maps.min()), float(maps.max())
        layers.append(
            {
                "name": layer,
                "maps": int(maps.shape[0]),
                "height": int(maps.shape[1]),
                "width": int(maps.shape[2]),
                "low": low,
                "high": high,
                "values": flat(maps),
            }
        )
    return pack(layers)


__export__ = ["status", "load_model", "read", "read_pixels", "steps", "prepare_file", "compare", "trace"]
