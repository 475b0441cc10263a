"""Build the images without a Docker engine, run them, and compare their size with the limits; exit status 1 if over.

    make images        (as root, on Debian, with buildah and debootstrap; half an hour or more on two cores)

The base image is Debian with Python 3.11, made by debootstrap, with this machine's package sources and certificates.
The worker's image trains a small retailer, with the databases of deploy/timescaledb, does a step as a Celery worker and
makes a backup; the API's image then serves it.
What is left out: the engine's own work, such as networks, limits, health checks and restarts.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from images_at_work import run_images

ROOT: Final = Path(__file__).parents[1]
PROGRAMS: Final = ("buildah", "debootstrap", "chroot", "tar")
LEFT_OUT: Final = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "dev",
    "proc",
)
"""As in Docker's slim images."""


@dataclass(frozen=True)
class Image:
    """One Dockerfile, and the most that its image may weigh to download, with its base."""

    name: str
    dockerfile: str
    megabytes: int


IMAGES: Final = (Image("shelfops-api", "Dockerfile", 200), Image("shelfops-ml", "Dockerfile.ml", 1500))


class Buildah:
    """buildah with its storage in `folder`; containers share this machine's network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._command = ["buildah", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._command += ["--storage-driver", "vfs"]

    def __call__(self, *words: str) -> str:
        """Run a subcommand; its output. Raises CalledProcessError, after it has said why."""
        done = subprocess.run([*self._command, *words], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def start(
        self, container: str, environment: dict[str, str], volumes: dict[Path, str], words: list[str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """The process of `words` in a container, as the image's user, with its environment and working directory."""
        flags = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        flags += [word for host, inside in volumes.items() for word in ("--volume", f"{host}:{inside}")]
        command = [*self._command, "run", "--isolation", "chroot", *flags, container, "--", *words]
        with log.open("wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def build(self, image: Image, base: str) -> None:
        """`docker build` of the image, telling its steps. Raises CalledProcessError, after it has said why."""
        arguments = ["--build-arg", f"BASE={base}", "--tag", image.name, "--file", str(ROOT / image.dockerfile)]
        command = [*self._command, "bud", "--format", "docker", "--isolation", "chroot", *arguments, str(ROOT)]
        last: deque[str] = deque(maxlen=40)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout or ():
                last.append(line)
                if "STEP " in line:
                    print(f"  {line.rstrip()[:160]}", flush=True)
        if process.returncode:
            print("".join(last), file=sys.stderr)
            raise subprocess.CalledProcessError(process.returncode, command)

    def command_of(self, name: str) -> list[str]:
        """The image's CMD."""
        return list(self._config(name)["Cmd"])

    def health_check_of(self, name: str) -> list[str]:
        """The image's HEALTHCHECK, as a command."""
        form, *words = self._config(name)["Healthcheck"]["Test"]
        return ["sh", "-c", *words] if form == "CMD-SHELL" else words

    def _config(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self("inspect", "--type", "image", name))["Docker"]["config"])

    def megabytes(self, name: str) -> float:
        """What a registry would send: the compressed layers."""
        target = self.folder / f"{name}.oci"
        self("push", "--quiet", f"localhost/{name}", f"oci:{target}")
        [entry] = json.loads((target / "index.json").read_text())["manifests"]
        manifest = json.loads((target / "blobs" / entry["digest"].replace(":", "/")).read_text())
        shutil.rmtree(target)
        return sum(layer["size"] for layer in manifest["layers"]) / 1e6


def make_base(buildah: Buildah, folder: Path) -> str:
    """Debian with Python 3.11 as an image; its name."""
    root = folder / "base"
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    mirror = re.findall(r"^URIs: *(\S+)", sources.read_text(), flags=re.M)[:1] if sources.exists() else []
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root), *mirror]
    subprocess.run(command, check=True)
    for source in (sources, Path("/etc/pip.conf"), Path("/etc/resolv.conf")):
        if source.exists():
            shutil.copy(source, root / source.relative_to("/"))
    if sources.exists():
        (root / "etc/apt/sources.list").write_text("")
    own = Path("/usr/local/share/ca-certificates")
    shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
    script = (
        "update-ca-certificates && apt-get update -qq && apt-get install --yes -qq --no-install-recommends "
        "python3.11-venv && apt-get clean && rm -rf /var/lib/apt/lists/*"
    )
    environment = {"PATH": os.defpath + ":/usr/sbin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["chroot", str(root), "sh", "-c", script], env=environment, check=True)
    archive = folder / "base.tar"
    left_out = [f"--exclude=./{name}/*" for name in LEFT_OUT]
    subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(root), *left_out, "."], check=True)
    shutil.rmtree(root)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("commit", "--quiet", "--rm", "--format", "docker", container, "shelfops-base")
    archive.unlink()
    return "localhost/shelfops-base"


def build_and_weigh(buildah: Buildah, base: str) -> bool:
    """Print a line for each image; is every one within its limit?"""
    fits = True
    for image in IMAGES:
        began = time.monotonic()
        buildah.build(image, base)
        size = buildah.megabytes(image.name)
        fits = fits and size <= image.megabytes
        verdict = "ok" if size <= image.megabytes else "TOO LARGE"
        seconds = time.monotonic() - began
        print(
            f"{image.name}: {size:.0f} MB compressed, limit {image.megabytes}: {verdict} ({seconds:.0f} s)", flush=True
        )
    return fits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="a base image that the storage has already, instead of making one")
    parser.add_argument("--storage", type=Path, help="keep buildah's storage here, to go on with later")
    arguments = parser.parse_args()
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"needs root, and Debian's packages buildah and debootstrap; missing: {missing}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # what was begun is cleared up then too
    with tempfile.TemporaryDirectory(prefix="shelfops-images-") as name:
        folder = arguments.storage or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        buildah = Buildah(folder)
        fits = build_and_weigh(buildah, arguments.base or make_base(buildah, folder))
        works = run_images(buildah, Path(name))
    return 0 if fits and works else 1


if __name__ == "__main__":
    sys.exit(main())
