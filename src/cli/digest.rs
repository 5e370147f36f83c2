//! `keepwatch digest`: the digest as it stands; with `--send`, the daily job now.

use super::args::{CommonArgs, DigestArgs};
use super::exit_code::{COMPLETE, PARTIAL};
use super::{logging, origins, setup, show};
use crate::config::Needs;
use crate::control::{Line, Request, ask};
use crate::daemon::digest_once;
use crate::types::Fatal;

/// Show it, or run the job and send it.
pub(super) async fn run(common: &CommonArgs, args: &DigestArgs) -> Result<u8, Fatal> {
    let config = setup::config(common, Needs::Nothing)?;
    let request = Request::Digest { send: args.send };
    let line = match ask(&config.state_dir, &request, |_| ()).await? {
        Some(line) => line,
        None => {
            let config = setup::config(common, Needs::Store)?;
            // Without the daily job it only looks: that makes no vault.
            if !args.send {
                origins::existing(&config)?;
            }
            let _log = logging::init(&config.log, false, common.quiet);
            digest_once(config, setup::options(common), args.send).await?
        }
    };
    let Line::Digest {
        subject,
        body,
        delivery,
        is_undelivered,
        drill,
    } = line
    else {
        return Err(Fatal::new(
            "show the digest",
            "the running Keepwatch gave another answer",
            "restart it: it is of another version",
        ));
    };
    if common.json {
        let value = serde_json::json!({
            "subject": subject, "body": body, "delivery": delivery, "drill": drill
        });
        show::json(&value)?;
    } else {
        if let Some(delivery) = delivery {
            println!("This digest was {delivery}\n");
        }
        println!("{subject}\n\n{body}");
    }
    Ok(if is_undelivered { PARTIAL } else { COMPLETE })
}
