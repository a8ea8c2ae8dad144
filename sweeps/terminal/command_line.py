"""The command line: which words are flags, which are settings, and what --help says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prune_core.errors import UserError
from sweeps import __version__
from sweeps.process import is_utf8

_EXAMPLES = """\
examples
  prune-sweep method=importance                             one method's own grid on the default data and network
  prune-sweep 'method=[importance,unit,random]' 'seeds=[0,1,2]'
  prune-sweep method=unit 'sparsities=[0.5,0.8]' recovery=finetune
  prune-sweep method=cluster 'n_clusters=[4,16,[8,16,32]]'  one count for all layers, or one a layer
  prune-sweep 'methods.weight.grid.sparsity=[0.9]' method=weight training=fast training.epochs=5
  prune-sweep method=rvsm search=optuna search.n_samples=30
  prune-sweep dataset=npz datasets.npz.path=my.npz model=keras_file models.keras_file.path=my.keras
  prune-sweep experiment=all_methods_small dry_run=true     print the plan and stop
  prune-sweep method=mine 'hydra.searchpath=[file:///my/conf]'  with files of your own in /my/conf/method"""


Action = Literal["help", "version", "print", "sweep"]


@dataclass(frozen=True)
class Request:
    """What the command line asks for: `action`, with the settings as `overrides`."""

    action: Action
    overrides: tuple[str, ...]


def read(arguments: Sequence[str]) -> Request:
    """Sort the words of a command line. Raises UserError, which says what to write, for an unsupported word."""
    action: Action = "sweep"
    overrides: list[str] = []
    words = iter(arguments)
    for word in words:
        if not is_utf8(word):
            raise UserError(f"{word!r} is not UTF-8, which databases and addresses need: rename that file or folder")
        if word in ("-h", "--help"):
            return Request("help", ())
        if word == "--version":
            return Request("version", ())
        if word in ("-c", "--cfg") or word.startswith("--cfg="):
            what = word.partition("=")[2] or next(words, "")
            if what != "job":
                raise UserError("--cfg needs to know what to print: write --cfg job")
            action = "print"
        elif word in ("-m", "--multirun"):
            raise UserError(
                f"{word} is not needed: lists are the axes, as in 'method=[importance,unit]' thresholds=[0.25,0.5]"
            )
        elif word.startswith("-"):
            raise UserError(f"{word} is not supported: use --help, --cfg job, or key=value")
        else:
            overrides.append(word)
    _refuse_second_choices(overrides)
    return Request(action, tuple(overrides))


def _refuse_second_choices(overrides: Sequence[str]) -> None:
    """Refuse a group that is given twice: Hydra would silently take the last one, but a person means both."""
    from sweeps.config import MANY

    for group in MANY:
        given = [word.partition("=")[2].strip("[]") for word in overrides if word.startswith(f"{group}=")]
        if len(given) > 1:
            raise UserError(f"{group} is given {len(given)} times: write '{group}=[{','.join(given)}]'")


def version() -> str:
    """The answer to --version."""
    return f"prune-sweep {__version__}"


def text() -> str:
    """The answer to --help: groups and their choices as they lie in the folder conf."""
    from prune_core.axes import AXES, described
    from sweeps.config import MANY, choices, conf_folder

    groups = [
        f"  {group + '=':<12} {'one or a list of ' if group in MANY else ''}{', '.join(names)}"
        for group, names in choices().items()
    ]
    axes = [
        f"  {axis:<12} {', '.join(described(entry) for entry in map(registry.get, registry))}"
        for axis, registry in AXES.items()
    ]
    return "\n".join(
        [
            "usage: prune-sweep [key=value ...] [--cfg job] [--version] [--help]",
            "",
            "Sweeps pruning methods over datasets and networks; results go to storage.root (./outputs) and to MLflow.",
            "Run the same command again to resume a sweep: finished trials are not repeated.",
            "",
            f"groups, one file a choice in {conf_folder()}",
            *groups,
            "",
            "axes for all chosen methods: thresholds= sparsities= n_clusters= recovery= seeds= (a value or a '[list]')",
            "axes of each method, with (parameters): methods.<name>.<axis>=... or a '[list]' under methods.<name>.grid",
            *axes,
            "switches: dry_run=true prints the plan, prune_output=true prunes the output layer as well",
            "flags: --cfg job prints the composed configuration, where every key is found; conf/ explains them",
            "",
            _EXAMPLES,
        ]
    )
