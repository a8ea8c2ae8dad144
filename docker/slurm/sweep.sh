#!/bin/bash
# A batch job to start from, for `mkdir -p /shared/me/sweeps/slurm` and sbatch; `prune-sweep submit compute=slurm ...` writes
# and submits your own. Printed, under another name, from code in /shared/prune-sweep, by
#   prune-sweep submit --print
#     compute=slurm compute.slurm.nodes=4 compute.slurm.partition=gpu compute.slurm.account=lab compute.slurm.gpus_per_node=2
#     compute.gpus_per_trial=0.5 compute.slurm.python=/shared/prune-sweep/.venv/bin/python storage.root=/shared/me/sweeps
#     tracking=server tracking.uri=http://mlflow.lab:5000 method=importance
#SBATCH --requeue
#SBATCH --job-name=prune-sweep-example
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=2
#SBATCH --time=08:00:00
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --output="/shared/me/sweeps/slurm/prune-sweep-example.log"
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
#SBATCH --export=HOME,LANG,PATH,USER

folder=/shared/me/sweeps/slurm
exit_code=/shared/me/sweeps/slurm/prune-sweep-example.exit
code=/shared/prune-sweep
python=/shared/prune-sweep/.venv/bin/python
cpus=4
gpus=2
sweep=(compute=slurm compute.slurm.nodes=4 compute.slurm.partition=gpu compute.slurm.account=lab compute.slurm.gpus_per_node=2 compute.gpus_per_trial=0.5 compute.slurm.python=/shared/prune-sweep/.venv/bin/python storage.root=/shared/me/sweeps tracking=server tracking.uri=http://mlflow.lab:5000 method=importance compute.target=null compute.address=auto 'storage.root='"'"'/shared/me/sweeps'"'"'')

source "$code/sweeps/cluster/slurm_job.sh"
