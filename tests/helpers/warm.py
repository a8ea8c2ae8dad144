"""A sweep in one process without Ray, last trial first, after the process has trained and pruned something else.

Takes the same command line: `python -m tests.helpers.warm method=unit ...`.
"""

import sys

from prune_core import data, device
from sweeps import trial
from sweeps.specs import Plan, Work
from sweeps.store import ResultStore
from tests.helpers.drivers import planned


def main(arguments: list[str]) -> None:
    from sweeps.config import settings_of
    from sweeps.config.compose import compose

    settings = settings_of(compose(arguments))
    store = ResultStore(settings.storage.root)
    store.prepare()
    device.configure(0, 1, None)
    first = settings.storage.root / "first"
    elsewhere = ResultStore(first)
    elsewhere.prepare()
    other = planned(
        *("method=importance", "debug=quick", "model=mlp_800_800", "measure.latency=false", "seeds=[7]"),
        f"storage.root={first}",
    )
    for plan, place in ((other, elsewhere), (planned(*arguments), store)):
        for work in _backwards(plan):
            base = work if work.kind == "baseline" else work.baseline
            loaded = data.load(base.dataset, base.dataset_config, settings.storage.data)
            for _ in trial.run(work, loaded, place):
                pass


def _backwards(plan: Plan) -> list[Work]:
    return [*reversed(plan.baselines), *reversed(plan.trials)]


if __name__ == "__main__":
    main(sys.argv[1:])
