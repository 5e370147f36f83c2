//! What `--help` says beyond the options (examples and exit codes), and `--version`.

/// Version, commit and target, as `--version` and the log say them.
pub(crate) const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BUILD_OF_KEEPWATCH"),
    ")"
);

pub(super) const AFTER_HELP: &str = "\
Examples:
  keepwatch try ~/Documents                   see it work, nothing to set up
  keepwatch --config office.toml check        is everything set up rightly?
  keepwatch --config office.toml              back up, and go on doing so
  keepwatch --config office.toml --reconcile  back up once, then exit
  keepwatch restore --to ~/Restored --at \"2026-11-20 14:30\"

Exit codes:
  0 complete    1 failed    2 wrong command line or configuration
  3 partial: some files failed, each is named    130 interrupted
  4 restore --diff found differences

Settings can also come from the environment, like KEEPWATCH_LIMITS__WORKERS=8.
Credentials come from where AWS tools keep them, never from here.";

pub(super) const RESTORE_HELP: &str = "\
Examples:
  Everything, as it is now:
    keepwatch restore --to /tmp/restored
  One folder, as it was last Friday:
    keepwatch restore \"Customers/Miller/**\" --to /tmp/restored --at \"2026-11-20 18:00\"
  On a new computer, with nothing but the bucket and its credentials:
    keepwatch restore --to D:\\Office --bucket customer-documents-backup-254
  From an external disk:
    keepwatch restore --to /tmp/restored --vault /mnt/backup-disk/keepwatch

  What has changed since yesterday evening, and what would come back:
    keepwatch restore --at \"yesterday 18:00\" --diff
    keepwatch restore --at \"yesterday 18:00\" --in-place --dry-run

Times are written like \"2026-11-20 14:30\", \"2026-11-20\" (the end of that day),
\"yesterday 18:00\", \"last friday\", \"24.11.2026 9:00\", \"Nov 24\", \"14:30\" or \"2 hours ago\".

A file is found by its path in the source, by its path on the computer or by its name alone.

A file that is there already is left alone and named, unless --overwrite or
--in-place is given. Every file is checked before it takes its name.";

pub(super) const VERIFY_HELP: &str = "\
Examples:
  Everything, by listing and by what the server says of each object:
    keepwatch verify
  A twentieth of the contents downloaded and hashed as well:
    keepwatch verify --deep --sample 5%
  Upload again what is damaged and still on this computer:
    keepwatch verify --deep --repair
  A vault or a bucket by itself, without this computer's index:
    keepwatch verify --deep --vault /mnt/backup-disk/keepwatch

Without --deep nothing is downloaded: bytes that changed under an unchanged
size and ETag are found by --deep alone. Nothing is ever deleted.

Exit codes: 0 all is well, 3 something was found (each is named), 1 it could
not be looked.";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  bash, for this account:
    mkdir -p ~/.local/share/bash-completion/completions
    keepwatch completions bash > ~/.local/share/bash-completion/completions/keepwatch
  zsh, into a folder that $fpath names:
    mkdir -p ~/.zfunc
    keepwatch completions zsh > ~/.zfunc/_keepwatch
  fish:
    mkdir -p ~/.config/fish/completions
    keepwatch completions fish > ~/.config/fish/completions/keepwatch.fish
  PowerShell, as a line of $PROFILE:
    keepwatch completions powershell | Out-String | Invoke-Expression";
