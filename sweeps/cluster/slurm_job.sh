# The head and the driver run on the first node, Ray on all of them. What ends first ends the rest, and the job's exit code
# is the sweep's. Started again (requeued), the sweep goes on from what is finished.
set -euo pipefail
umask 077

hosts=()
while read -r host; do hosts+=("$host"); done < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
token="$folder/$SLURM_JOB_ID.token" scratch="${TMPDIR:-/tmp}/ray-$SLURM_JOB_ID"
# Jobs may share a node: ports from the job's number, below those that the system hands out itself.
first_port=$((12000 + SLURM_JOB_ID % 2000 * 3))
port=$first_port agent_port=$((first_port + 1)) client_port=$((first_port + 2))

finish() {
  trap - EXIT TERM
  for step in $(jobs -p); do kill "$step" 2>/dev/null || true; done
  wait || true
  srun --overlap --ntasks-per-node=1 rm -rf "$scratch" 2>/dev/null || true
  rm -f "$token"
}
trap finish EXIT
trap '[ -z "${driver:-}" ] || kill -TERM "$driver" 2>/dev/null; stopped=1' TERM

address_of() {  # the first address of a node that others reach, too
  local name
  name=$(scontrol --oneliner show node "$1" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
  getent ahostsv4 "$name" | awk '$1 !~ /^127\./ {print $1; exit}'
}

start_ray() {  # on a node: start_ray NODE ARGUMENTS
  local host=$1
  shift
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$host" --cpus-per-task="$cpus" --export=ALL --kill-on-bad-exit \
    "$python" -m ray.scripts.scripts start --block --node-ip-address="$(address_of "$host")" --temp-dir="$scratch" \
    --num-cpus="$cpus" --num-gpus="$gpus" --dashboard-agent-listen-port="$agent_port" \
    --min-worker-port=0 --max-worker-port=0 \
    --disable-usage-stats "$@" &
}

all_answer() {  # wait for addresses, or for the end of Ray on a node
  "$python" -m sweeps.cluster.wait_for "$@" &
  local probe=$!
  wait -n || true
  [ -z "${stopped:-}" ] || exit 143
  if kill -0 "$probe" 2>/dev/null; then
    echo "error: Ray has ended on a node, the lines above say why" >&2
    exit 1
  fi
  wait "$probe"
}

rm -f "$exit_code"  # of an attempt before this one
"$python" -c 'import secrets; print(secrets.token_hex(32), end="")' > "$token"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$token" PYTHONPATH="$code" PYTHONUNBUFFERED=1

head_address=$(address_of "${hosts[0]}")
# Nobody submits to this cluster: it does without its dashboard, which is ten processes on a node that has work to do.
start_ray "${hosts[0]}" --head --port="$port" --include-dashboard=false --ray-client-server-port="$client_port"
all_answer "http://$head_address:$agent_port/api/local_raylet_healthz"
nodes=()
for host in "${hosts[@]:1}"; do
  start_ray "$host" --address="$head_address:$port"
  nodes+=("http://$(address_of "$host"):$agent_port/api/local_raylet_healthz")
done
[ ${#nodes[@]} -eq 0 ] || all_answer "${nodes[@]}"

"$python" -m sweeps.run "${sweep[@]}" "compute.address=$head_address:$port" &
driver=$!
while kill -0 "$driver" 2>/dev/null; do wait "$driver" || true; done  # a trapped signal ends `wait` early
code=0
wait "$driver" || code=$?
echo "$code" > "$exit_code"
exit "$code"
