//! A vault as an S3 server, for whoever reads a bucket over HTTP.

use keepwatch_vault::Vault;
use std::net::TcpListener;
use std::path::Path;
use tokio::sync::oneshot;

pub const ACCESS_KEY: &str = "KEYOFTHEBUCKET";
pub const SECRET_KEY: &str = "itssecret";

/// A vault's folder, served over HTTP until this is dropped.
pub struct Served {
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub fn start(folder: &Path) -> Self {
        let vault = Vault::open(folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = std::thread::spawn(move || {
            let keys = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
            let serving = vault.serve(listener, keys, async {
                // Dropped counts as told.
                let _ = stopped.await;
            });
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(serving).unwrap();
        });
        Self {
            url,
            stop: Some(stop),
            task: Some(task),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(task) = self.task.take() {
            let ended = task.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
