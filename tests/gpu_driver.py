"""A Vulkan driver for tests: the machine's own, else SwiftShader, which Chromium brings along and needs no GPU."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

DRIVER = "vk_swiftshader_icd.json"
LOADER = "libvulkan.so.1"
FOLDERS = ("/usr/lib/chromium", "/usr/lib64/chromium", "/usr/lib64/chromium-browser", "/opt/google/chrome")


def swiftshader(chromium: str) -> Path | None:
    """The folder of SwiftShader's driver beside a Chromium executable; None where there is none."""
    beside = [Path(chromium).resolve().parent, *map(Path, FOLDERS)]
    return next((folder for folder in beside if (folder / DRIVER).is_file()), None)


def use_swiftshader(chromium: str) -> None:
    """Make wgpu-native, imported later in this process, find SwiftShader (a driver chosen by hand is left alone).

    Chromium's own Vulkan loader is opened first, for machines that have none: in each process, also in one that has
    the variable from the process that started it.
    """
    folder = swiftshader(chromium)
    if folder is None or "VK_DRIVER_FILES" in os.environ:
        return
    if os.environ.setdefault("VK_ICD_FILENAMES", str(folder / DRIVER)) != str(folder / DRIVER):
        return
    if (folder / LOADER).is_file():
        ctypes.CDLL(str(folder / LOADER), mode=ctypes.RTLD_GLOBAL)
