"""Where sweeps can be submitted as jobs: one module a target, each of which makes a `sweeps.cluster.base.Target`."""

TARGETS = {
    "ray_jobs": "sweeps.cluster.ray_jobs",
    "slurm": "sweeps.cluster.slurm",
    "kuberay": "sweeps.cluster.kuberay",
}
"""{compute.target: module with `open_target(settings) -> Target`}. Its settings are the section compute.<target>."""
