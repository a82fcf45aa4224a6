"""The command ``bfly``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bfly import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_SERVE = """\
Serve connectomics volumes from the files where they lie.

  bfly -e FOLDER           find every channel below a folder and serve it
  bfly -e FILE.yaml        serve what a configuration lists
  bfly -e FOLDER -o FILE   ... and save what was found, to edit and serve later
  bfly                     serve the file that RH_CONFIG_FILENAME names,
                           or ~/.rh-config.yaml
  bfly demo                make synthetic tissue and serve it
"""

_DEMO = "Make synthetic tissue (EM, segmentation, supervoxels) in a folder, once, and serve it."


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port", nargs="?", type=_port, help="port to listen on (default 2001)")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")
    return parser


def _make_demo(folder: str) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from bfly.testing.tissue import make_tissue

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Making tissue", total=1)
        make_tissue(folder, progress=lambda done: progress.update(task, completed=done))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of the process's own.

    Returns
    -------
    int
        The exit code: 0, or 1 after a message that says what is wrong.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["demo"]:
        parser = _parser("bfly demo", _DEMO)
        parser.add_argument(
            "--folder", default="bfly-demo", help="where to put it (default bfly-demo)"
        )
        parsed = parser.parse_args(words[1:])
        experiments, output = parsed.folder, None
    else:
        parser = _parser("bfly", _SERVE)
        parser.add_argument("--version", action="version", version=f"bfly {__version__}")
        parser.add_argument("-e", "--exp", metavar="EXP", help="a YAML file, or a folder with data")
        parser.add_argument("-o", "--out", metavar="OUT", help="save what was found as YAML")
        parsed = parser.parse_args(words)
        experiments, output = parsed.exp, parsed.out
    # Only now, so that --help and mistakes in the arguments are answered at once.
    from bfly.butterfly import Butterfly
    from bfly.errors import ButterflyError
    from bfly.logs import set_up

    try:
        if words[:1] == ["demo"]:
            _make_demo(experiments)
        butterfly = Butterfly(experiments, output, parsed.port, parsed.host)
        set_up(butterfly.config.log_level, butterfly.config.log_path, parsed.log_json)
        butterfly.serve()
    except ButterflyError as error:
        print(f"bfly: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
