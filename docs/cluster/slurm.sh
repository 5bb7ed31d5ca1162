#!/usr/bin/env bash
# A search over several nodes of a Slurm cluster: sbatch docs/cluster/slurm.sh
# Every node has autoclf[ray] in the same environment. Directories need not be shared, but the one of the
# store must outlive the job.
#SBATCH --job-name=autoclf
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=2
#SBATCH --time=04:00:00
set -euo pipefail

space=${SPACE:-cifar10}
store=${STORE:-$HOME/mlruns}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# Who reaches a cluster of Ray can run code on it: a token, made once and kept in the home directory that the nodes
# share, keeps others of the same network out.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
[ -s "$RAY_AUTH_TOKEN_PATH" ] || (umask 077 && mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")" && \
    python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")

# Ray starts on each node, and the command on the first one when all are there; it ends before Slurm's time does.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
    autoclf search --space "$space" --store "$store" --timeout 230m \
    --executor ray --address auto --cpus-per-trial 4 --gpus-per-trial 0.5
