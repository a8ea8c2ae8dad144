"""Draws reports of past sweeps again, and delivers results that wait on disk to MLflow.

python sweeps/report.py sweep=latest
python sweeps/report.py deliver storage.root=outputs
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

USAGE = """\
usage: python sweeps/report.py [sweep=latest] [storage.root=outputs] [format=html | format=markdown]
       python sweeps/report.py deliver [sweep=latest] [storage.root=outputs] [tracking.uri=...]

sweep=latest, sweep=<id or its beginning>, or sweep=<folder of the sweep>, which also gives storage.root.

Draws report.html of a sweep again, from its results in storage.root: finished trials are read, nothing is run.
With format=markdown its main tables are printed instead, for a README.

deliver: sends the results that wait in storage.root, because MLflow could not be reached, of all sweeps or of the one
named. Exit code 0 if nothing waits any more, 1 if something does."""
_KEYS = {"sweep": "latest", "storage.root": "outputs", "format": "html"}
_KEYS_TO_DELIVER = {"sweep": "", "storage.root": "outputs", "tracking.uri": ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0; 1 if something still waits; 2 for a bad request)."""
    from prune_core.errors import UserError
    from sweeps.process import require_current_folder, streams

    arguments = sys.argv[1:] if argv is None else argv
    if set(arguments) & {"-h", "--help"}:
        return streams.show(USAGE)
    try:
        require_current_folder()
        if arguments[:1] == ["deliver"]:
            return _deliver(_read(arguments[1:], _KEYS_TO_DELIVER))
        return streams.show(_report(_read(arguments, _KEYS)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        return 130


def _report(asked: Mapping[str, str]) -> object:
    """The page's file, or the tables as text."""
    from sweeps.config import folder, one_of
    from sweeps.reporting import draw_again, markdown_tables

    formats = {"html": draw_again, "markdown": markdown_tables}
    one_of("format", asked["format"], list(formats))
    return formats[asked["format"]](folder("storage.root", asked["storage.root"]), asked["sweep"])


def _deliver(asked: Mapping[str, str]) -> int:
    from sweeps.config import folder
    from sweeps.deliver import deliver_all

    return deliver_all(
        folder("storage.root", asked["storage.root"]), asked["sweep"] or None, asked["tracking.uri"] or None
    )


def _read(arguments: Sequence[str], keys: Mapping[str, str]) -> dict[str, str]:
    from prune_core.errors import UserError
    from prune_core.registry import closest
    from sweeps.reporting import RECORD_FILE

    asked = dict(keys)
    for argument in arguments:
        key, given, value = argument.partition("=")
        if key not in keys or not given:
            raise UserError(f"{argument!r} is not understood: {closest(key, keys)}, as in sweep=latest")
        asked[key] = value
    named = Path(asked["sweep"]).resolve()
    if asked["sweep"] and (named / RECORD_FILE).is_file():  # the folder of a sweep, as it prints it
        asked |= {"sweep": named.name, "storage.root": str(named.parents[1])}
    return asked


if __name__ == "__main__":
    from sweeps.process import surroundings

    surroundings.settle()
    sys.exit(main())
