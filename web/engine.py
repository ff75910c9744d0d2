"""The engine: Pyodide in a worker, a thin layer over handlens.

It unpacks what the page sends, calls the core, and packs what the core answers. Every number the page shows comes from
here, and here every number comes from handlens. Each call is short; a long list of models is worked through with the
event loop free in between, so that the newest ink is never kept waiting.
"""

import asyncio
import dataclasses
import hashlib
import json
import time

import js
import pyodide_js
from pyodide.ffi import to_js

failure = ""
try:
    await pyodide_js.loadPackage("handlens")  # noqa: F704  (PyScript runs this file inside a coroutine); numpy comes along
    import handlens
    import handlens.answer
    import handlens.chooser
    import handlens.data.generator
    import handlens.hand
    import handlens.numbers
    import handlens.overview
    import handlens.reading
    import handlens.teach
    import numpy as np
except Exception as error:  # reported by status(): an engine that raises here would answer nothing at all
    failure = f"{type(error).__name__}: {error}"

LONGEST_SIDE = 1024  # px: a photograph is scaled down by the browser before NumPy sees it

# Layers drawn in the strip. The others repeat what stands beside them: normalised, flattened, or as probabilities.
SHOWN = ("Conv2D", "ReLU", "LeakyReLU", "Sigmoid", "Tanh", "MaxPool2D", "AvgPool2D", "GlobalAvgPool2D", "Dense")

FACTS = ("drawn", "refusal")  # what the page quotes of a model's metadata

chooser = None if failure else handlens.chooser.Chooser()
models: dict = {}
digests: dict = {}  # by model: the sha256 of its file
# What was read last, for the questions that follow: for each digit its 28 x 28, and functions that give the way to it
# (None where it came as 28 x 28) and its strokes; then all three of the digit that the visitor looks at.
last: dict = {"images": [], "all": [], "image": None, "prepared": None, "extent": None, "drawn": [], "own": None}
last["window"] = None  # left, top and side of what the pad shows of a file, in its pixels
file: dict = {"pixels": None, "shown": None, "overview": None}  # the file read last, and what the pad shows of it


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


async def fetched(address: str) -> bytes:
    """A file of the site. OSError with the server's answer where there is none."""
    response = await js.fetch(address)
    if not response.ok:
        raise OSError(f"{address.rsplit('/', 1)[-1]}: the server answered {response.status}")
    return (await response.arrayBuffer()).to_bytes()


async def load_model(name: str, address: str, forced: str) -> object:
    """Fetch one file of weights and load it under `name`. Raises what handlens says about a file it cannot use.

    `forced`: the backend that was asked for, or "". `facts`: what the file says was measured on drawings, as JSON;
    `backend`: what computes it, and `sentence` why.
    """
    data = await fetched(address)
    model = handlens.load(data)
    sentence = await chooser.begin(model, forced)
    await model.predict_async(np.zeros((1, *model.input_shape), np.float32))  # what is made once should not count later
    models[name], digests[name] = model, hashlib.sha256(data).hexdigest()
    facts = json.dumps({key: model.metadata.get(key) for key in FACTS})
    return pack({"name": name, "facts": facts, "backend": model.backend.name, "sentence": sentence})


def look_at(place: int) -> object:
    """From now on steps, maps and the other models are about this digit of the drawing, counted from the left."""
    if place < len(last["images"]):
        last.update(image=last["images"][place], prepared=last["all"][place])
        last["own"] = last["strokes"][place] if last["drawn"] else None
    return pack({"place": place})


def answer(name: str, readings: list, images: list, boxes: list, latest: int, started: float) -> dict:
    """What the core made of each digit of a drawing, and of all of them; `latest` is the one to look at first."""
    last["images"] = images
    look_at(latest)
    said = handlens.answer.whole(readings)
    places = [
        {
            "verdict": reading.verdict,
            "answered": reading.digit is not None,
            "digit": reading.best,
            "second": reading.second,
            "probabilities": flat(reading.probabilities),
            "none": reading.none,
            "sentence": reading.sentence,
            "box": box,
            "seen": flat(image),
        }
        for reading, image, box in zip(readings, images, boxes, strict=True)
    ]
    return {
        "blank": False,
        "model": name,
        "places": places,
        "latest": latest,
        "text": said.text,
        "verdict": said.verdict,
        "weakest": said.weakest,
        "sentence": said.sentence,
        "rejects": models[name].output_shape[0] > handlens.reading.DIGITS,
        "ms": (time.perf_counter() - started) * 1e3,
        "backend": models[name].backend.name,
        "left": models[name].handed_over[-1] if models[name].handed_over else "",
        "inside": False,
    }


async def judged(images: list, name: str) -> list:
    """The core's judgement of each 28 x 28."""
    model, batch = models[name], np.stack(images)[:, None]
    rows = await model.predict_async(batch) if model.backend.suspends else model.predict(batch)
    rules = handlens.reading.rules_of(model)
    return [handlens.reading.judge(row, rules) for row in rows]


def steps() -> object:
    """How the ink of the digit looked at became 28 x 28, step by step; null for a picture that came as 28 x 28.

    The box is in pixels of the raster `ink`.
    """
    extent = last["extent"]
    try:
        prepared = last["prepared"]() if last["prepared"] else None
    except handlens.errors.HandlensError:  # the kernels see other digits than Python: there are no steps to show
        prepared = None
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


async def read(strokes: object, extent: float, name: str, without: str, also: str = "") -> object:
    """Read a drawing: packed strokes in pad units, the pad `extent` units wide, with the model called `name`.

    `without`: stages of the preparation to leave out, with commas between. `also`: what an open view asks about the
    same drawing, as JSON of a question's name and its arguments; `inside` is its answer, in the same message.
    """
    started = time.perf_counter()
    packed_strokes = np.asarray(strokes.to_py(), dtype=np.float32)
    drawn, model = handlens.strokes.unpack(packed_strokes), models[name]
    if without:  # Python alone can leave stages out
        found = handlens.numbers.candidates(drawn, extent)
    else:
        found = handlens.numbers.compiled_candidates(model, packed_strokes, extent)
    places = await handlens.numbers.answered(model, found)
    last.update(images=[], all=[stages_of(place) for place in places], image=None, prepared=None)
    last.update(extent=extent, window=None, drawn=drawn, strokes=[strokes_of(place) for place in places])
    if not places:  # nothing drawn, or all of it erased
        return pack({"blank": True})
    readings, images = [place.reading for place in places], [place.image for place in places]
    if without:  # the digits are found as ever; each is then prepared anew
        ready = [spoiled(place, drawn, extent, without.split(",")) for place in places]
        last["all"], images = [lambda one=one: one for one in ready], [one.image for one in ready]
        readings = await judged(images, name)
    boxes = [[float(edge) / extent for edge in place.box] for place in places]
    latest = max(range(len(places)), key=lambda place: places[place].last)
    said = answer(name, readings, images, boxes, latest, started)
    try:
        said["inside"] = await asked(*json.loads(also)) if also else False
    except (handlens.errors.HandlensError, KeyError):  # the view asks again, and shows what is wrong
        said["inside"] = False
    return pack(said)


def stages_of(place: object) -> object:
    """A function that gives the way from ink to 28 x 28; on compiled kernels it is made when somebody asks for it."""
    return lambda: place.prepared


def strokes_of(place: object) -> object:
    """A function that gives the numbers of a digit's strokes."""
    return lambda: place.strokes


def spoiled(place: object, drawn: list, extent: float, without: list) -> object:
    """A digit of the drawing, prepared with some stages left out."""
    own = [stroke for k, stroke in enumerate(drawn) if k in place.strokes or stroke.erase]
    return handlens.strokes.prepare(own, extent, without) or place.prepared


async def read_pixels(values: object, name: str) -> object:
    """Read a picture on the pad: 784 numbers in 0..1 as they are, or the digits of the file that it shows."""
    started = time.perf_counter()
    shown = np.asarray(values.to_py(), dtype=np.float32)
    side = round(len(shown) ** 0.5)
    last.update(images=[], all=[], image=None, prepared=None, extent=None, window=None, drawn=[])
    if not shown.any():
        return pack({"blank": True})
    whole = file["shown"] is not None and np.array_equal(file["shown"], shown)
    if not whole and side == 28:  # a test image, or numbers edited by hand
        image = shown.reshape(28, 28)
        readings = await judged([image], name)
        last["all"] = [lambda: None]
        return pack(answer(name, readings, [image], [[]], 0, started))
    if not whole:  # after a reload the file is gone; what the pad shows of it is still there
        remember_file(np.round(255 * (1 - shown.reshape(side, side))).astype(np.uint8), shown)
    found = handlens.numbers.candidates_of_image(file["pixels"])
    places = await handlens.numbers.answered(models[name], found)
    if not places:
        return pack({"blank": True})
    last["all"] = [stages_of(place) for place in places]
    shows = file["overview"] if side > 28 else None
    last["window"] = (shows.left, shows.top, shows.size) if shows else None
    boxes = [shows.share(place.box) if shows else [] for place in places]
    images = [place.image for place in places]
    return pack(answer(name, [place.reading for place in places], images, boxes, 0, started))


def remember_file(pixels: object, shown: object) -> None:
    """Keep an image for as long as the pad shows it."""
    file.update(pixels=pixels, shown=shown, overview=handlens.overview.overview(pixels))


async def prepare_file(data: object, kind: str, name: str) -> object:
    """Decode an image file with the browser's decoders and find its digits. `error` says why it cannot be read.

    `values`: for the pad, the 28 x 28 of a single digit, or an overview of several.
    """
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
    pixels = pixels.reshape(height, width, 4)
    places = await handlens.numbers.answered(models[name], handlens.numbers.candidates_of_image(pixels))
    if not places:
        return pack({"error": "no ink"})
    remember_file(pixels, None)
    shown = places[0].prepared.image if len(places) == 1 else np.round(file["overview"].ink, 2)
    file["shown"] = flat(shown)
    return pack({"error": "", "values": file["shown"]})


async def compare() -> object:
    """What every loaded model makes of the drawing read last: of each of its digits, found as they were."""
    images, rows = last["images"], []
    for name in list(models):
        if not images or images is not last["images"]:
            break  # newer ink has come in: this comparison is of no use any more
        started = time.perf_counter()
        readings = await judged(images, name)
        said = handlens.answer.whole(readings)
        weakest = readings[said.weakest]
        none = weakest.verdict == "none"
        rows.append(
            {
                "name": name,
                "text": "".join("?" if reading.verdict == "none" else str(reading.best) for reading in readings),
                "share": weakest.none if none else float(weakest.probabilities[weakest.best]),
                "ms": (time.perf_counter() - started) * 1e3,
            }
        )
        await asyncio.sleep(0)
    return pack(rows)


async def trace(name: str) -> object:
    """The layers' maps for the digit looked at, with the range of their values."""
    if last["image"] is None:
        return pack([])
    shown = {"input", "probabilities"} | {layer.name for layer in models[name].layers if type(layer).__name__ in SHOWN}
    layers = []
    for layer, value in (await models[name].trace_async(last["image"][None, None])).items():
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


# -- looking inside ----------------------------------------------------------------------------------------------------
looking: dict = {"session": None}


def packed(value: object) -> object:
    """An answer of the core with every array as its shape and one row of float32, and nothing as False: what crosses
    as `undefined` would be true in MicroPython."""
    if value is None:
        return False
    if isinstance(value, dict):
        return {key: packed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [packed(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": flat(value)}
    return value.item() if isinstance(value, np.generic) else value


async def inside(question: str, arguments: str) -> object:
    """Ask what a view wants to know of the network and the drawing read last; `arguments` are JSON."""
    return pack(await asked(question, json.loads(arguments)))


async def asked(question: str, arguments: dict) -> object:
    """The core's answer to a view."""
    from handlens.inside import views  # when a view is first opened: the answer does not wait for it

    if looking["session"] is None:
        looking["session"] = views.Session(models, last, sample)
    return packed(await views.answer(looking["session"], question, arguments))


# -- which backend computes --------------------------------------------------------------------------------------------
async def judge(name: str) -> object:
    """Hold WebGPU against what answers, on what this model read last; it computes there from now on if it is better.

    `sentence`: what came of it; `kernels`: the compiled kernels' speed by now; `late`: it ran out of time so far.
    """
    kernels = await chooser.measure_again(models[name])
    batch = np.stack(last["images"] or [np.zeros((28, 28))])[:, None].astype(np.float32)
    used, sentence = await chooser.judge(models[name], batch)
    return pack({"used": used, "sentence": sentence, "kernels": kernels, "late": chooser.late})


def judge_status() -> object:
    """How many of the kernels of a GPU that is being judged are compiled, and of how many."""
    done, of = chooser.progress
    return pack({"done": done, "of": of})


async def trainer(pupil: object, course: object, batch: int) -> object:
    """What is to train."""
    some, adam = slice(0, batch), handlens.optimizers.Adam()
    x, y = np.ascontiguousarray(course.images[some]), np.ascontiguousarray(course.labels[some])
    backend, job["judged"] = await chooser.trainer(pupil, x, y, adam, batch)
    return backend


# -- teaching ----------------------------------------------------------------------------------------------------------
# Drawings that are no digit, where a model has a class for those: how many are mixed in, and how many measured.
# With 30 the share of digits and of letters that is refused stays as shipped; with none a third of letters is answered.
REJECTS = {"mix none": 30, "none": 100}
REJECT_SEED = 20250611

teachers: dict = {}
sets: dict = {}  # the shipped samples of MNIST, and the rejects
keeping: dict = {}  # by model: the task that computes its features of these sets, once
job: dict = {"state": "idle", "model": "", "stage": "", "share": 0.0, "error": "", "judged": "", "task": None}


def teacher_of(name: str) -> object:
    """The teacher of a model, made before the model is first changed."""
    if name not in teachers:
        teachers[name] = handlens.teach.Teacher(models[name], digest=digests[name])
        teachers[name].judge = trainer
    return teachers[name]


async def sample(name: str, folder: str) -> object:
    """One of the shipped samples of MNIST."""
    if name not in sets:
        images, labels = [
            handlens.data.mnist.read_idx(await fetched(f"{folder}{name}-{part}.gz"))
            for part in ("images.idx3", "labels.idx1")
        ]
        sets[name] = handlens.teach.Examples(images, labels)
    return sets[name]


async def rejects(name: str) -> object:
    """Drawings that are no digit, of other families for measuring than for mixing in; those without fonts."""
    if name not in sets:
        generator = handlens.data.generator
        families = generator.available(generator.HELD_OUT if name == "none" else generator.TRAINED)
        drawn = generator.rejects(REJECTS[name], REJECT_SEED, families)
        images = await prepared_all([handlens.hand.Drawn(0, one.drawn()) for one in drawn])
        sets[name] = handlens.teach.Examples(images[0], np.full(len(images[0]), 10))
    return sets[name]


async def prepared_all(drawn: list) -> tuple:
    """Images and labels of drawings, one at a time, so that nobody waits."""
    images, labels = [], []
    for one in drawn:
        made = handlens.hand.images([one])
        images.append(made[0])
        labels.append(made[1])
        await asyncio.sleep(0)
    return np.concatenate(images), np.concatenate(labels)


async def sets_of(name: str, folder: str) -> tuple:
    """What is mixed in with the visitor's digits, and what is measured, for one model."""
    mix, measured = await sample("mix", folder), {"test": await sample("test", folder)}
    if models[name].output_shape[0] > handlens.reading.DIGITS:
        measured["none"] = await rejects("none")
        if "mix and none" not in sets:
            more = await rejects("mix none")
            sets["mix and none"] = handlens.teach.Examples(
                np.concatenate([mix.images.astype(np.float32) / 255, more.images]),
                np.concatenate([mix.labels, more.labels]),
            )
        mix = sets["mix and none"]
    return mix, measured


async def keep_features(name: str, folder: str) -> None:
    """Compute and keep what the layers before the head make of the samples."""
    mix, measured = await sets_of(name, folder)
    wanted, done = {"mix": mix, **measured}, 0
    total = sum(len(some) for some in wanted.values())
    for key, some in wanted.items():

        def tell(share: float, before: int = done, count: int = len(some)) -> None:
            if job["state"] == "running" and job["model"] == name:
                job.update(stage="features", share=(before + share * count) / total)

        await teacher_of(name).keep(key, some, tell)
        done += len(some)


def teach_ahead(name: str, folder: str) -> object:
    """Begin with what a teaching will need, while the visitor still draws. `folder`: the address of the samples."""
    if name in models and name not in keeping:
        keeping[name] = asyncio.ensure_future(keep_features(name, folder))
    return pack({"kept": name in keeping})


def drawn_of(digits: object) -> list:
    """The visitor's digits as the page keeps them, for the core."""
    found = []
    for entry in digits.to_py():
        notes = {key: str(entry[key]) for key in handlens.hand.WORDS if entry.get(key)}
        if entry.get("values") is not None:
            image = np.asarray(entry["values"], np.float32).reshape(28, 28)
            found.append(handlens.hand.Drawn(int(entry["label"]), image=image, notes=notes))
        else:
            strokes = handlens.strokes.unpack(np.asarray(entry["flat"], np.float32))
            found.append(handlens.hand.Drawn(int(entry["label"]), strokes, float(entry["extent"]), notes=notes))
    return found


async def teach(name: str, drawn: list, folder: str) -> None:
    """The job: features, teaching, measuring. What went wrong is told by teach_status()."""
    try:
        teach_ahead(name, folder)
        try:
            await asyncio.shield(keeping[name])
        except Exception:
            keeping.pop(name, None)  # the next teaching tries again
            raise
        mix, measured = await sets_of(name, folder)
        own = handlens.teach.Examples(*await prepared_all(drawn))
        await teacher_of(name).teach(
            own, mix, measured, progress=lambda stage, share: job.update(stage=stage, share=share)
        )
        if teacher_of(name).handed_over:
            job["judged"] = f"Teaching left {teacher_of(name).handed_over[-1]}. The next backend went on."
        job.update(state="done")
    except asyncio.CancelledError:
        job.update(state="stopped")
    except Exception as error:
        job.update(state="failed", error=str(error))


def teach_start(name: str, digits: object, folder: str) -> object:
    """Start to teach the visitor's digits to the head of a model; the model changes only at the end."""
    if job["state"] == "running":
        return pack({"started": False})
    job.update(state="running", model=name, stage="samples", share=0.0, error="")
    chooser.progress = (0, 0)  # of a teaching that was stopped while it waited
    job["task"] = asyncio.ensure_future(teach(name, drawn_of(digits), folder))
    return pack({"started": True})


def teach_status() -> object:
    """How far the teaching is: running, done, stopped or failed; stage, share, error; how many kernels are compiled."""
    told = {key: job[key] for key in ("state", "model", "stage", "share", "error", "judged")}
    return pack({**told, "compiled": chooser.progress[0], "of": chooser.progress[1]})


def teach_stop() -> object:
    """Stop the teaching: the model stays as it was before."""
    if job["state"] == "running":
        job["task"].cancel()
    return teach_status()


def teach_taught(name: str) -> object:
    """What a model has been taught: its lesson as JSON ("" at the shipped weights), and the bytes to keep."""
    lesson = teachers[name].lesson if name in teachers else None
    if lesson is None:
        return pack({"lesson": "", "data": None})
    data = np.frombuffer(teachers[name].to_bytes(), np.uint8)
    return pack({"lesson": json.dumps(dataclasses.asdict(lesson)), "data": data})


def teach_apply(name: str, data: object) -> object:
    """Put back what was taught before the page was loaded anew. `error` says why that cannot be."""
    try:
        teacher_of(name).apply(bytes(data.to_py()))
    except handlens.errors.HandlensError as error:
        return pack({"error": str(error)})
    return pack({"error": ""})


def teach_back(name: str) -> object:
    """Return to the shipped weights, exactly."""
    if name in teachers:
        teachers[name].back()
    return pack({"name": name})


def hand_write(digits: object) -> str:
    """The visitor's digits as the text of a file."""
    return handlens.hand.dumps(drawn_of(digits))


def hand_read(text: str) -> object:
    """The digits of such a file, as the page keeps them. `error` says what is wrong with it."""
    try:
        drawn = handlens.hand.loads(text)
    except handlens.errors.HandlensError as error:
        return pack({"error": str(error), "digits": []})
    digits = [
        {
            "label": one.label,
            "flat": None if one.image is not None else flat(handlens.strokes.pack(one.strokes)),
            "values": None if one.image is None else flat(one.image),
            "extent": one.extent,
            **{key: one.notes.get(key, "") for key in handlens.hand.WORDS},
        }
        for one in drawn
    ]
    return pack({"error": "", "digits": digits})


TEACHING = ["teach_ahead", "teach_start", "teach_status", "teach_stop", "teach_taught", "teach_apply", "teach_back"]
TEACHING += ["hand_write", "hand_read"]

__export__ = ["status", "load_model", "read", "read_pixels", "look_at", "steps", "prepare_file", "compare", "trace"]
__export__ += ["inside", "judge", "judge_status"]
__export__ += TEACHING
