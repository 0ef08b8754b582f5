#!/bin/bash
# Judge a run over three hosts that are network namespaces, each worker with a host name and a monotonic clock of its own.
# As root: bash tests/judging/network_namespaces.sh plain|cut|dead|load|master DURATION
#   plain: nothing happens.  cut: the link of a worker goes down.  dead: all processes of a worker are killed at once.
#   load: the load process of a worker is killed.  master: all processes of the master's host but the twin are killed.
# In the end it prints what the twin saw, what each command said, what was alive 30 s after the kill, and what the report
# counts (after a kill of the master: with the journals that the workers say are on their hosts).
set -u
MODE=$1; DUR=$2; B=$(cd "$(dirname "$0")/../.." && pwd)/.venv/bin; D=$(mktemp -d); mkdir -p $D/m $D/w0 $D/w1
M=avm; W0=avw0; W1=avw1
for n in $M $W0 $W1; do ip netns add $n; ip -n $n link set lo up; done
ip -n $M link add br0 type bridge; ip -n $M link set br0 up; ip -n $M addr add 10.99.0.1/24 dev br0
for i in 0 1; do n=avw$i; ip link add v$i netns $M type veth peer name eth0 netns $n; ip -n $M link set v$i master br0 up; ip -n $n link set eth0 up; ip -n $n addr add 10.99.0.1$i/24 dev eth0; done
ns() { ip netns exec "$@"; }
cd $D
ip netns exec $M $B/python -m loadtest.twin --host 10.99.0.1 --set latency.create=fixed:0.2 > twin.json 2>/dev/null < /dev/null & T=$!
for i in $(seq 100); do [ -s twin.json ] && break; sleep 0.1; done
j() { $B/python -c "import json;print(json.load(open('$D/twin.json'))['$1'])"; }
export OPENAI_API_KEY=$(j openai_api_key) AVATURN_API_KEY=$(j avaturn_api_key)
(cd m; ns $M $B/avaload run --master --master-bind-host 10.99.0.1 --expect-workers 2 --max-wait 60s --users 6 --duration $DUR --ramp 1s --room none --live --max-sessions 5000 --openai-base-url $(j openai_base_url) --avaturn-base-url $(j avaturn_base_url) --metrics-port off --run-dir $D/m/run > out 2> err; echo $? > code) & PM=$!
PW=""
for i in 0 1; do (cd w$i; ns avw$i unshare --uts --time --monotonic $((i*5000+1000)) --fork --kill-child sh -c "hostname host$i; exec $B/avaload run --worker --max-wait 60s --master-host 10.99.0.1 --allow-host 10.99.0.1 --run-dir $D/w$i/run" > out 2> err; echo $? > code) & PW="$PW $!"; done
if [ $MODE != plain ]; then
 for i in $(seq 300); do grep -q session_finished $D/m/run/journal/host1-engine-*.jsonl 2>/dev/null && break; sleep 0.2; done; sleep 1
 [ $MODE = cut ] && ip -n avw1 link set eth0 down
 [ $MODE = dead ] && for p in $(ip netns pids avw1); do kill -9 $p; done
 [ $MODE = load ] && for p in $(ip netns pids avw1); do grep -qz -- --master-host /proc/$p/cmdline && grep -qz locustfile /proc/$p/cmdline && kill -9 $p; done
 [ $MODE = master ] && for p in $(ip netns pids $M); do [ $p = $T ] || kill -9 $p; done
 sleep 30
fi
S=$(j state_url)
look() { ns $M $B/python -c "
import json,urllib.request
s=json.load(urllib.request.urlopen('$S')); c=s['counters']; print('$1', c['sessions_created'], 'alive', c['alive'], c['sessions_ended'])
json.dump(s['sessions'], open('$D/sessions.json','w'))"; }
look 'twin, 30 s after the kill:'
wait $PM $PW
sleep 12
look 'twin, in the end:'
for p in m w0 w1; do echo "== $p code $(cat $p/code)"; cat $p/out; grep -v warning $p/err; done
if [ $MODE != plain ]; then # what was cut off, as a person brings it home
 for i in 0 1; do cp $D/w$i/run/journal/* $D/m/run/journal/; done
 (cd m; $B/avaload report run > /dev/null; echo "reported again: $?")
fi
$B/python - <<P
import json
from loadtest import journal
from pathlib import Path
left=journal.leftovers(list(journal.merged(journal.read_run(Path('$D/m/run')))))
seen=json.load(open('$D/sessions.json')); last={t: s for s in seen for t in s['trace_ids']}
alive={t for t, s in last.items() if s['state'] != 'ended'}
print('alive and not doubtful:', len(alive - set(left.doubtful)), ' doubtful:', len(left.doubtful), ' leaked:', len(left.leaked))
print('ended by themselves and not doubtful:', sum(s['end_reason'] != 'termination_command_received' and t not in left.doubtful for t, s in last.items() if s['state'] == 'ended'))
r=json.load(open('$D/m/run/report.json')); s=r['sessions']
print({k:s[k] for k in ('started','completed','failed','cancelled','unfinished','leaked','doubtful','unknown','left_behind')}, r['files'], r['generator']['faults'])
for c in r['hosts']['clocks']: print(c)
print('began within', r['hosts']['start_spread_s'], 's')
print([(w['host'],w['state']) for w in r['hosts']['workers']])
P
kill $T; wait $T
for n in $M $W0 $W1; do ip netns del $n; done
echo "all of it is in $D"
