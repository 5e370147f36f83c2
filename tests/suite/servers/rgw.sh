#!/usr/bin/env bash
# A Ceph cluster of one node in memory, with a RADOS Gateway, for one test run:
#
#   rgw.sh FOLDER ADDRESS
#
# All it writes lies in FOLDER; it listens on ADDRESS, a loopback address of
# its own (all of 127.0.0.0/8 is loopback on Linux), so that copies run side by
# side on the usual ports. It prints "ready http://…" or "failed: why" and ends
# with its standard input: then the daemons end and FOLDER goes. A daemon whose
# script was killed is ended by the kernel (setpriv --pdeathsig).
#
# What is missing of Ceph's packages is installed where this is root and apt-get
# is there.
set -euo pipefail

D=$1 ADDRESS=$2
PORT=7480
ACCESS_KEY=BACKUPTESTKEY0000001
SECRET_KEY=backuptestsecret00000000000000000000001
# A manager (ceph-mgr) would only count and look after pools: it is not needed.
PACKAGES=(radosgw ceph-mon ceph-osd ceph-common)
PROGRAMS=(radosgw radosgw-admin ceph-mon ceph-osd ceph monmaptool)
# Each step waits so long at the most; a busy machine needs half a minute.
STEP_MAX_S=180

umask 077
mkdir -p "$D/log"
conf=$D/ceph.conf
daemons=()

fail() { echo "failed: $*"; exit 1; }
finish() {
    trap '' TERM
    # It holds nothing that must last.
    ((${#daemons[@]} == 0)) || kill -KILL "${daemons[@]}" 2>>"$D/log/end" || true
    wait
    rm -rf "$D"
}
trap 'exit 1' TERM
trap finish EXIT

# 1. Whoever reads along ends this when the test run has ended.
exec 3<&0
setpriv --pdeathsig KILL bash -c 'cat >/dev/null; kill -TERM "$PPID"' <&3 &
exec 3<&-

# 2. The packages.
missing() { for program in "${PROGRAMS[@]}"; do type -P "$program" >/dev/null || echo "$program"; done; }
install() {
    [ "$(id -u)" = 0 ] || fail "these programs are missing: $(missing | tr '\n' ' ')- install them (Debian: apt install ${PACKAGES[*]}), or run the tests as root"
    type -P apt-get >/dev/null || fail "these programs are missing: $(missing | tr '\n' ' ')- there is no apt-get here; Ceph's radosgw, ceph-mon, ceph-osd and ceph are needed"
    # Another test run may be installing just now.
    exec 8>"${TMPDIR:-/tmp}/keepwatch-tests-apt.lock"
    flock 8
    [ -n "$(missing)" ] || return 0
    # No service of the system's starts by it.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        made=1
    fi
    local done=0
    { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq \
            --no-install-recommends "${PACKAGES[@]}"; } >"$D/log/apt" 2>&1 </dev/null || done=$?
    [ -z "$made" ] || rm -f $policy
    ((done == 0)) || fail "apt-get cannot install ${PACKAGES[*]}: $(tail -n 5 "$D/log/apt" | tr '\n' ' ')"
    exec 8>&-
}
[ -z "$(missing)" ] || install

# 3. The cluster: one monitor, one store in memory, no signatures between them.
fsid=5c3e0000-0000-4000-8000-000000000001
osd=5c3e0000-0000-4000-8000-0000000000a0
cat >"$conf" <<C
[global]
fsid = $fsid
mon host = [v2:$ADDRESS:3300/0]
public addr = $ADDRESS
cluster addr = $ADDRESS
auth cluster required = none
auth service required = none
auth client required = none
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc
run dir = $D
admin socket =
pid file =
crash dir = $D/log
log file = $D/log/\$name
log to stderr = false
err to stderr = true
keyring = $D/none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
[mon]
mon data = $D/mon
mon cluster log file = $D/log/cluster
auth allow insecure global id reclaim = false
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = $D/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd memory target = 939524096
osd enable op tracker = false
[client.rgw]
rgw data = $D/rgw
rgw frontends = beast endpoint=$ADDRESS:$PORT
rgw thread pool size = 64
rgw enable ops log = false
rgw enable usage log = false
C

run() { "$@" >>"$D/log/${1##*/}.run" 2>&1 </dev/null || fail "$* : $(tail -n 3 "$D/log/${1##*/}.run")"; }
daemon() {
    setpriv --pdeathsig KILL "$@" -f -c "$conf" >>"$D/log/${1##*/}.out" 2>&1 </dev/null &
    daemons+=($!)
}
until_ready() {
    local what=$1 began=$SECONDS
    shift
    until "$@" >>"$D/log/waiting" 2>&1 </dev/null; do
        local pid
        for pid in "${daemons[@]}"; do
            [ -d "/proc/$pid" ] || fail "$what: a daemon has ended: $(tail -qn 3 "$D"/log/*.out)"
        done
        ((SECONDS - began < STEP_MAX_S)) || fail "$what is not ready after $STEP_MAX_S s: $(tail -n 3 "$D/log/waiting")"
        sleep 0.1
    done
}
ceph() { timeout 20 ceph -c "$conf" --connect-timeout 10 "$@"; }
osd_is_up() { ceph osd stat | grep -q '1 up'; }
gateway_listens() { : <"/dev/tcp/$ADDRESS/$PORT"; }

run monmaptool --create --clobber --fsid $fsid --addv a "[v2:$ADDRESS:3300]" "$D/monmap"
run ceph-mon --mkfs -i a -c "$conf" --monmap "$D/monmap"
daemon ceph-mon -i a
until_ready monitor ceph mon stat
mkdir "$D/osd" "$D/rgw"
run ceph osd new $osd 0
run ceph-osd -i 0 -c "$conf" --mkfs --osd-uuid $osd
daemon ceph-osd -i 0
until_ready store osd_is_up

# 4. The gateway and its one user.
run radosgw-admin -c "$conf" -n client.rgw user create --uid=backup --display-name=backup \
    --access-key=$ACCESS_KEY --secret-key=$SECRET_KEY
daemon radosgw -n client.rgw
until_ready gateway gateway_listens
echo "ready http://$ADDRESS:$PORT"

# 5. Until the test run has ended, or a daemon has.
wait -n "${daemons[@]}" || true
fail "a daemon has ended: $(tail -qn 3 "$D"/log/*.out)"
