#!/usr/bin/env bash
# A Slurm of this machine's own, on loopback, with two slots: for tests and for trying things out.
#
#   scripts/slurm-loopback.sh start DIR   # everything it writes is below DIR; prints DIR/slurm.conf
#   SLURM_CONF=DIR/slurm.conf sbatch …
#   scripts/slurm-loopback.sh stop DIR
#
# Needs slurmctld, slurmd and munged (Debian: apt-get install slurm-wlm munge), no root, no system
# configuration, and touches no Slurm that the machine has already.
set -euo pipefail

die() { echo "slurm-loopback: $*" >&2; exit 1; }

[ $# -eq 2 ] || die "usage: $0 start|stop DIR"
mkdir -p "$2"
dir=$(cd "$2" && pwd -P)
export SLURM_CONF=$dir/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

# Waits up to 20 s for a command to succeed.
await() {
  local what=$1
  shift
  for _ in $(seq 200); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  tail -n 20 "$dir"/*.log >&2 || true
  die "$what did not come up within 20 s; logs are in $dir"
}

free_ports() {
  local port=$((20000 + RANDOM % 20000))
  while ss -ltn | grep -qE ":($port|$((port + 1))) "; do port=$((port + 2)); done
  echo "$port"
}

start() {
  local program host port user
  for program in munged slurmctld slurmd sinfo ss; do
    command -v "$program" >/dev/null || die "$program is missing: apt-get install slurm-wlm munge iproute2"
  done
  host=$(hostname -s)
  port=$(free_ports)
  user=$(id -un)
  mkdir -p "$dir/munge" "$dir/state" "$dir/spool"
  chmod 0755 "$dir/munge"
  (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
  cat >"$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=10
CredType=cred/munge
SlurmUser=$user
SlurmdUser=$user
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
# Nothing that needs root or control groups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Small jobs start at once, and what is stopped stops soon.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1
KillWait=2
ReturnToService=2
# Small enough for a test to reach.
MaxArraySize=101
# Two slots, whatever the machine has.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=1024 State=UNKNOWN
PartitionName=loopback Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munge/seed" --num-threads=2
  await munged munge --socket="$dir/munge/socket" --no-input
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF" -N "$host"
  await "the node" sh -c "sinfo -h -o %t | grep -q idle"
  echo "$SLURM_CONF"
}

stop() {
  local daemon pid
  for daemon in slurmd slurmctld munged; do
    [ -s "$dir/$daemon.pid" ] || continue
    pid=$(cat "$dir/$daemon.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
  done
}

case $1 in
  start) start ;;
  stop) stop ;;
  *) die "usage: $0 start|stop DIR" ;;
esac
