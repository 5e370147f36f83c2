//! The vault as a server of its own, and the line to it.

use super::journal::Journal;
use super::wire::Wire;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use fastrand::Rng;
use keepwatch::s3::Store;
use keepwatch_vault::Vault;
use std::net::TcpListener;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// The only bucket.
pub const BUCKET: &str = "office";

const ACCESS_KEY: &str = "office";
const SECRET_KEY: &str = "a secret of the office";

/// A vault that is served over HTTP, with signatures, until this is dropped.
pub struct Served {
    pub wire: Wire,
    /// The vault without a line in between: what really is in the bucket.
    pub store: Store,
    stop: Option<oneshot::Sender<()>>,
    /// Everything of the server's side runs here.
    pub runtime: Runtime,
}

impl Served {
    pub fn new(folder: &Path, rng: Rng, journal: Journal) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let vault = Vault::open(folder).unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        let inside = SharedHttpConnector::new(vault.connector());
        let store = Store::vault(vault.http_client(), "the model's vault");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(async move {
            let keys = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
            let stopped = async {
                let _ = stopped.await;
            };
            vault.serve(listener, keys, stopped).await.unwrap();
        });
        Self {
            wire: Wire::new(runtime.handle(), address, inside, rng, journal),
            store,
            stop: Some(stop),
            runtime,
        }
    }

    /// What the program needs in its environment to be let in.
    pub fn credentials() -> [(&'static str, &'static str); 2] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails when serving has ended already.
            let _ = stop.send(());
        }
    }
}
