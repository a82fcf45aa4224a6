"""``bfly demo``: synthetic tissue, for trying Butterfly without data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.commands.command import Command
from bfly.commands.serve import add_server_options, serve
from bfly.server.arguments import add_port

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["Demo"]


class Demo(Command):
    """Makes tissue and serves it."""

    description = (
        "Make synthetic tissue (EM, segmentation, supervoxels) in a folder and serve it.\n"
        "If the folder has the tissue already, it is not made again."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_port(parser)
        add_server_options(parser)
        parser.add_argument(
            "--folder", default="bfly-demo", help="folder of the tissue (default bfly-demo)"
        )

    @override
    def run(self, arguments: Namespace) -> None:
        _make(arguments.folder)
        serve(arguments.folder, arguments)


def _make(folder: str) -> None:
    import os
    from urllib.parse import quote

    from rich.console import Console
    from rich.progress import Progress

    from bfly.testing.tissue import make_tissue

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Making tissue", total=1)
        make_tissue(
            folder, progress=lambda done: progress.update(task, completed=done), tables=True
        )
    name = quote(os.path.basename(os.path.abspath(folder)), safe="")
    console.print(
        f"Neurons in 3-D: /ng/?dataset=root/{name}/{name} below the address that is served.",
        highlight=False,
        soft_wrap=True,
    )
