"""Command-line overrides in, one plain resolved configuration out, by Hydra.

The compose API is used once; there is no multirun, no job folder and no change of the current directory. Every error
of Hydra or OmegaConf becomes a `UserError` of one sentence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.config.added_keys import is_of_method

MANY = {"method": "methods", "dataset": "datasets", "model": "models"}
"""Groups that take several choices, each with the section of the configuration that holds them."""
ONE = ("training", "search", "compute", "tracking", "experiment", "debug")
"""Groups with a single choice."""
_ROOT = "config"
_NOT_FOUND = re.compile(r"Could not (?:override|append|delete from config\.) '?([^'\n]+)'")
# Exceptions of other classes that Hydra and OmegaConf raise for bad overrides (found by fuzzing, see the tests).
_REFUSALS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class Composed:
    """A composed configuration.

    Attributes:
        config: plain containers, interpolations resolved.
        chosen: {group: names}, the files that were composed, in order.
        asked: keys that the command line set, e.g. {"thresholds", "methods.unit.score"}; groups are not among them.
        overrides: the command line, as given.
    """

    config: dict[str, Any]
    chosen: Mapping[str, tuple[str, ...]]
    asked: frozenset[str]
    overrides: tuple[str, ...] = ()


def conf_folder() -> Path:
    """The folder `conf`: of the checkout, or the copy in an installed package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "conf", package / "conf"):
        if (folder / f"{_ROOT}.yaml").is_file():
            return folder
    raise UserError(f"the folder conf is missing beside {package.name}: install the package again")


def choices(conf: Path | None = None) -> dict[str, list[str]]:
    """{group: names of its files}."""
    conf = conf or conf_folder()
    return {group: sorted(file.stem for file in (conf / group).glob("*.yaml")) for group in (*MANY, *ONE)}


def compose(overrides: Sequence[str], conf: Path | None = None) -> Composed:
    """The configuration that `overrides` (Hydra's syntax, e.g. "method=[importance,unit]") ask for.

    Args:
        overrides: from the command line.
        conf: folder with config.yaml and the groups; default: the project's.

    Raises:
        UserError: an override that cannot be read, or names what does not exist.
    """
    conf = conf or conf_folder()
    parsed = [_parse(text, conf) for text in overrides]
    try:
        config, chosen = _compose_all(conf, parsed)
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except RecursionError:
        raise UserError("the overrides refer to each other in a circle, or are nested too deeply") from None
    except _REFUSALS as error:
        raise UserError(_sentence(error, parsed, conf)) from None
    assert isinstance(plain, dict)
    return Composed(
        config={str(key): value for key, value in plain.items()},
        chosen=chosen,
        asked=frozenset(key for o in parsed for key in _keys(o.key_or_group, o.value()) if key not in (*MANY, *ONE)),
        overrides=tuple(overrides),
    )


def override(key: str, text: str) -> str:
    """The override that sets `key` to exactly this text, even if it has special characters of Hydra or OmegaConf."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # ${ would begin a reference
    text = re.sub(r'(\\*)"', r'\1\1\\"', text)
    text = re.sub(r"(\\+)$", r"\1\1", text)
    return f'{key}="{text}"'


def _keys(key: str, value: Any) -> Iterator[str]:
    """The keys that an override sets: a mapping sets those inside it."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _keys(f"{key}.{name}", inner)
    else:
        yield key


def _compose_all(conf: Path, overrides: Sequence[Override]) -> tuple[DictConfig, dict[str, tuple[str, ...]]]:
    """Like `_compose`, but a key that a method has needs no plus: `methods.unit.sparsity=0.5`."""
    texts = [override.input_line or "" for override in overrides]
    try:
        return _compose(conf, texts)
    except ConfigCompositionException:
        composed, _ = _compose(conf, _groups(overrides))
        adds = [is_of_method(override, composed, overrides) for override in overrides]
        return _compose(conf, [f"++{text}" if is_added else text for text, is_added in zip(texts, adds, strict=True)])


def _groups(overrides: Sequence[Override]) -> list[str]:
    """The overrides that choose files."""
    return [o.input_line for o in overrides if o.key_or_group in (*MANY, *ONE, "hydra.searchpath") and o.input_line]


def _compose(conf: Path, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, tuple[str, ...]]]:
    with initialize_config_dir(str(conf), version_base="1.3", job_name="prune-sweep"):
        config = hydra_compose(_ROOT, overrides=list(overrides))
        loader = GlobalHydra.instance().config_loader()
        files = loader.compute_defaults_list(_ROOT, list(overrides), RunMode.RUN).defaults
    paths = [Path(file.config_path) for file in files if file.config_path]
    return config, {group: tuple(p.name for p in paths if str(p.parent) == group) for group in (*MANY, *ONE)}


def _parse(text: str, conf: Path) -> Override:
    """Read one override and refuse what Hydra would take but this program does not mean."""
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError):
        raise UserError(_unreadable(text)) from None
    key = override.key_or_group
    if not key:
        raise UserError(_unreadable(text))
    if key.split(".")[0].split("/")[0] == "hydra" and key != "hydra.searchpath":
        raise UserError(f"{key} is a setting of Hydra's own that has no effect here: leave it out")
    if override.package is not None:
        raise UserError(f"{text!r} puts a file elsewhere, which nothing here reads: write {key}=...")
    if override.is_sweep_override():
        value = text.partition("=")[2]
        fix = f"'{key}=[{value}]'" if "(" not in value else f"the list itself, as in '{key}=[a,b]'"
        raise UserError(f"{text} is not how several values are given: write {fix}")
    group = next((group for group, section in MANY.items() if section == key), None)
    if group and override.type != OverrideType.DEL and not isinstance(override.value(), Mapping):
        choice = f"{group}={text.partition('=')[2]}"
        raise UserError(f"{key} holds the settings of what is chosen: to choose, write '{choice}'")
    if key in (*MANY, *ONE) and override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD):
        _check_choice(key, override.value(), conf)
    if key == "hydra.searchpath":
        _check_folders(override.value())
    return override


def _unreadable(text: str) -> str:
    key, _, value = text.partition("=")
    if key and value and value[0] not in "[{\"'":  # the text has special characters of Hydra's grammar
        return f"{text!r} cannot be read: put a value with signs like = ( é into both kinds of quotes, '{key}=\"...\"'"
    return f"{text!r} cannot be read: write key=value, and a list in quotes as 'key=[a,b]'"


def _check_folders(value: Any) -> None:
    """Refuse a folder of configurations that does not exist; Hydra would only warn."""
    for folder in value if isinstance(value, list) else [value]:
        path = str(folder).removeprefix("file://")
        if path != folder and not Path(path).is_dir():
            raise UserError(f"hydra.searchpath={folder} is not a folder: correct the path")


def _check_choice(group: str, value: Any, conf: Path) -> None:
    names = value if isinstance(value, list) else [value]
    if group in ("experiment", "debug") and value is None:
        return
    known = ", ".join(choices(conf)[group])
    if group in ONE and isinstance(value, list):
        raise UserError(f"{group} takes a single choice, not a list: name one of {known}")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{group} is given without a name: write {group}=... with {known}")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(f"{group} names {doubled[0]!r} twice: name it once")


def _sentence(error: Exception, overrides: Sequence[Override], conf: Path) -> str:
    """What a person needs to know about an error of Hydra or OmegaConf."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group in (*MANY, *ONE):
            return f"unknown {group} {name!r}: {closest(name, choices(conf)[group])}"
        return f"{error.missing_cfg_file}.yaml does not exist in the configuration: {closest(name, [*MANY, *ONE])}"
    if isinstance(error, MissingMandatoryValue) and error.full_key:
        return f"{error.full_key} is missing: set it with {error.full_key}=..."
    if isinstance(error, InterpolationResolutionError) and error.full_key:
        return f"{error.full_key} refers to what is not there: {_first_line(error)}"
    if isinstance(error, yaml.YAMLError):
        return f"a file of the configuration is not YAML: {' '.join(str(error).split())}"
    missing = _NOT_FOUND.search(str(error))
    if missing:
        return _unknown_key(missing.group(1), overrides, conf)
    given = " ".join(repr(o.input_line) for o in overrides)
    return f"the overrides {given} do not fit together: {_first_line(error)}"


def _unknown_key(key: str, overrides: Sequence[Override], conf: Path) -> str:
    """Walk down to where the path of `key` leaves the configuration."""
    try:
        composed, chosen = _compose(conf, _groups(overrides))
    except _REFUSALS:
        return f"{key} is not a key of the configuration"
    node: Any = composed
    where = ""
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            return f"{key} is not a key: {where} is not a section, set it with {where}=..."
        if part not in node:
            return _not_in(where, part, key, [str(name) for name in node], chosen, conf)
        where, node = f"{where}.{part}" if where else part, node._get_node(part)
    return f"{key} is given keys that it does not have: write ++{key}=... to add them"


def _not_in(
    where: str, part: str, key: str, known: Sequence[str], chosen: Mapping[str, Sequence[str]], conf: Path
) -> str:
    group = next((g for g, section in MANY.items() if section == where), None)
    if group and part in choices(conf)[group]:
        return f"{key} is set, but {group} {part} is not chosen: write '{group}=[{','.join([*chosen[group], part])}]'"
    if where.endswith(".grid"):
        return f"{where} has no axis {part!r}: {closest(part, known)}; +{key}=[...] adds one"
    if where in ONE:
        having = [name for name in choices(conf)[where] if part in (_read_yaml(conf / where / f"{name}.yaml"))]
        if having:
            return f"{key} is not used by the chosen {where}: choose {' or '.join(f'{where}={n}' for n in having)}"
    known = known if where else sorted({*known, *MANY, *ONE})
    return f"{key} is not a key of the configuration: in {where or 'its top level'}, {closest(part, known)}"


def _read_yaml(path: Path) -> Mapping[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content if isinstance(content, Mapping) else {}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
