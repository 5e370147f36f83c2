//! The place that copies go to: it must keep versions, and say so again and again.

mod emptied;
mod marking;
mod owner;
mod versions;

use keepwatch::daemon::Daemon;

/// The digest as it stands in the daemon that runs on this rig.
async fn digest(daemon: &Daemon) -> (String, String) {
    let ctx = daemon.components();
    let report = ctx.daily_job().report(ctx.clock.now_ms()).await;
    let message = report.unwrap().message();
    (message.subject, message.body)
}
