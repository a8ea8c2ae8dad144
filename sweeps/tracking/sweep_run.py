"""What the run of the sweep itself says: its name, params and note."""

from sweeps.redact import redact
from sweeps.specs import Plan
from sweeps.tracking.values import MAX_TAG, params_of


def sweep_name(plan: Plan) -> str:
    """The sweep's name for people: "importance · lenet_300_100 · mnist_5k"."""
    return " · ".join(_few(names) for names in sweep_axes(plan).values() if names)


def sweep_axes(plan: Plan) -> dict[str, list[str]]:
    """Methods, models and datasets of the plan, each once, in the plan's order."""
    baselines = [*plan.baselines, *(search.baseline for search in plan.searches)]
    columns = {"method": plan.methods, "model": [b.model for b in baselines], "dataset": [b.dataset for b in baselines]}
    return {name: list(dict.fromkeys(column)) for name, column in columns.items()}


def sweep_params(plan: Plan) -> dict[str, str]:
    """The params of the sweep's own run."""
    axes = {name: ", ".join(names) for name, names in sweep_axes(plan).items()}
    return params_of({**axes, "seeds": ", ".join(_seeds(plan))})


def sweep_note(plan: Plan, command: str) -> str:
    """Markdown for the sweep's page: what it is, how to look at it and how to run it again."""
    ours = f"tags.`sweep.id` = '{plan.sweep_id}' and tags.`kind` = 'trial'"
    axes = {**sweep_axes(plan), "seed": _seeds(plan)}
    rows = [f"| {name} | {', '.join(names)} |" for name, names in axes.items() if names]
    searched = sum(search.n_trials for search in plan.searches)
    trials = f"{len(plan.trials)} planned trials" + (f" and {searched} of a search" if searched else "")
    networks = f"{len(plan.baselines)} dense network{'s' * (len(plan.baselines) != 1)}"
    # The UI folds what is below the first lines.
    note = [
        f"Sweep `{plan.sweep_id}`: {trials} on {networks}; what came of it: `report.html` under Artifacts.",
        f"Run it again (finished trials are kept):\n\n```\n{redact(command)}\n```",
        "\n".join(["| axis | values |", "|---|---|", *rows]),
        f"All its trials: filter the runs of this experiment by\n\n```\n{ours}\n```",
        "`accuracy` and `loss` are of the test split; choose on `val_accuracy`.",
    ]
    return "\n\n".join(note)[:MAX_TAG]


def _seeds(plan: Plan) -> list[str]:
    return list(dict.fromkeys(str(b.seed) for b in plan.baselines))


def _few(names: list[str], at_most: int = 3) -> str:
    return ", ".join(names[:at_most]) + (f" +{len(names) - at_most}" if len(names) > at_most else "")
