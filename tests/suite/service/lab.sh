#!/usr/bin/env bash
# lab.sh FOLDER PROGRAM: this computer's own system once more, as systemd starts it, in
# namespaces of its own: everything written to it goes into memory, and it has no network.
# Run by `lab.rs` in a mount namespace (`unshare --mount`); ends with its system.
set -euo pipefail
lab=$1 program=$2

mkdir -p "$lab/memory" "$lab/root"
mount -t tmpfs lab "$lab/memory"
mkdir "$lab/memory/upper" "$lab/memory/work"
mount -t overlay lab -o "lowerdir=/,upperdir=$lab/memory/upper,workdir=$lab/memory/work" "$lab/root"
root=$lab/root

# Nothing of this computer's own services, and nothing of an earlier Keepwatch.
rm -f "$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*.wants "$root/etc/systemd/system/keepwatch.service" \
    "$root/etc/keepwatch" "$root/var/lib/keepwatch" "$root/var/log/keepwatch"
sed -i '/^keepwatch:/d' "$root"/etc/{passwd,group,shadow,gshadow}
mkdir -p "$root/run" "$root/tmp" "$root/srv/office" "$root/etc/keepwatch"
install -m 0755 "$program" "$root/usr/local/bin/keepwatch"

exec systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --link-journal=no \
    --machine="keepwatch-$$" --directory="$root" systemd.unit=basic.target
