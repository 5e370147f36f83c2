# Beginning of the scripts of both packages: what an installation does about the service.

configuration=/etc/keepwatch/keepwatch.toml
unit=keepwatch.service

# True where services may be started: not in a chroot, and not where policy-rc.d forbids it.
may_start() {
    [ -d /run/systemd/system ] || return 1
    [ ! -x /usr/sbin/policy-rc.d ] && return 0
    /usr/sbin/policy-rc.d keepwatch start >/dev/null 2>&1 || [ $? -eq 104 ]
}

# The service's account reads configuration and keys, and root alone changes them. What belongs to
# another account already stays as it is: `keepwatch service install --account` has given it away.
account_and_folders() {
    systemd-sysusers keepwatch.conf
    for folder in /var/lib/keepwatch /var/log/keepwatch; do
        [ -d $folder ] || install -d -m 0700 -o keepwatch -g keepwatch $folder
    done
    for path in /etc/keepwatch "$configuration" /etc/keepwatch/credentials; do
        [ -e "$path" ] && [ "$(stat -c %U:%G "$path")" = root:root ] || continue
        chgrp keepwatch "$path"
        if [ -d "$path" ]; then chmod 0750 "$path"; else chmod 0640 "$path"; fi
    done
}

# Without a configuration there is nothing to start. A start that fails is told and does not
# fail the installation; nobody waits for it, as a large index may take minutes.
first_installation() {
    account_and_folders
    if [ -e "$configuration" ]; then
        systemctl enable "$unit" || true
        may_start || return 0
        systemctl daemon-reload || true
        systemctl --no-block start "$unit" || true
        echo "Keepwatch starts with the configuration that is there. How it is: keepwatch service status"
    else
        echo "Keepwatch is installed and backs nothing up yet. What to do now:"
        echo "  1. Write $configuration. An example: /usr/share/doc/keepwatch/examples/office.toml"
        echo "  2. sudo keepwatch check"
        echo "  3. sudo keepwatch service install && sudo keepwatch service start"
    fi
}

# State, logs and settings are as they were; a running service goes on as the new program.
upgrade() {
    may_start || return 0
    systemctl daemon-reload || true
    systemctl --no-block try-restart "$unit" || true
}

before_removal() {
    systemctl disable "$unit" >/dev/null 2>&1 || true
    [ -d /run/systemd/system ] || return 0
    systemctl stop "$unit" || true
}

after_removal() {
    [ -d /run/systemd/system ] || return 0
    systemctl daemon-reload || true
}
