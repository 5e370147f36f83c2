//! The real program against real servers: Ceph RGW, moto, rclone's `serve s3` and
//! the vault over HTTP. One suite for all of them; what a server cannot do stands
//! in [`table`], with what Keepwatch then does, which is asserted like the rest.
//!
//! [`up`] brings the servers up, once for a test run each.

mod back;
mod copied;
mod large;
mod line;
mod names;
mod saves;
mod site;
mod table;
mod up;

use site::Site;
use table::Kind;

/// Bytes that nobody can pack, the same for the same seed.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; bytes];
    random.fill(&mut out);
    out
}

/// Every scenario on one server.
macro_rules! conformance {
    ($name:ident, $kind:expr) => {
        mod $name {
            use super::*;

            conformance! { @each $kind;
                reconcile => saves::reconcile,
                a_daemon_with_churn => saves::churn,
                renames => saves::renames,
                moves_that_race_with_saves => copied::moves,
                large_files_with_a_percent => copied::percent,
                an_edit_in_a_large_file => large::edit,
                a_large_upload_that_was_killed => large::resume,
                restore => back::restore,
                moments => back::moments,
                verify => back::verify,
                drill => back::drill,
                odd_names => names::odd,
                lists_with_pages => names::pages,
            }
        }
    };
    (@each $kind:expr; $($scenario:ident => $run:path),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                if !$kind.can_be_had() {
                    return;
                }
                $run(Site::on($kind, stringify!($scenario)).await).await;
            }
        )*
    };
}

conformance!(ceph_rgw, Kind::Rgw);
conformance!(moto, Kind::Moto);
conformance!(rclone, Kind::Rclone);
conformance!(vault, Kind::Vault);

/// The size that people have, where copying parts was hardest to get.
#[tokio::test(flavor = "multi_thread")]
async fn ceph_rgw_is_sent_what_changed_of_an_archive() {
    if !Kind::Rgw.can_be_had() {
        return;
    }
    copied::archive(Site::on(Kind::Rgw, "archive").await).await;
}
