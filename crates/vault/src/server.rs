//! The other way in: S3 over HTTP on a loopback address, with signatures.
//!
//! For other tools (`aws s3 cp --endpoint-url …`). It never listens where another computer
//! could reach it: the vault holds the office's files, and HTTP is not encrypted.

use super::connector::marked;
use super::error::VaultError;
use super::vault::Vault;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3ErrorCode, S3Result};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections served at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;

/// A client that does not finish its headers in this time is cut off.
const HEADERS_WAIT: Duration = Duration::from_secs(30);

/// How long requests under way may take after a request to stop.
const FINISH_WAIT: Duration = Duration::from_secs(10);

/// After a failed accept (no file handles left), wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The one pair of keys. s3s has a type for this too, but it answers a wrong
/// access key with a code that no S3 client knows.
struct OneKey {
    access_key: String,
    secret_key: SecretKey,
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            return Ok(self.secret_key.clone());
        }
        Err(super::failure::refuse(
            S3ErrorCode::InvalidAccessKeyId,
            "the vault knows no such access key",
        ))
    }
}

impl Vault {
    /// Serve S3 (path-style, HTTP/1.1) on `listener` until `shutdown` is
    /// ready, then finish what is under way. Every request must be signed
    /// with `credentials`: access key, then secret key.
    ///
    /// # Errors
    /// [`VaultError`] when the listener's address is not loopback, or unusable.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        credentials: (String, String),
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), VaultError> {
        let unusable = |e: std::io::Error| VaultError {
            path: self.folder().to_owned(),
            operation: "serve the vault".to_owned(),
            cause: e.to_string(),
            hint: "choose another port".to_owned(),
            is_misuse: false,
        };
        let address = listener.local_addr().map_err(unusable)?;
        if !address.ip().is_loopback() {
            return Err(VaultError {
                path: self.folder().to_owned(),
                operation: format!("serve the vault on {address}"),
                cause: "other computers could reach it there".to_owned(),
                hint: "use an address of this computer alone, such as 127.0.0.1".to_owned(),
                is_misuse: true,
            });
        }
        listener.set_nonblocking(true).map_err(unusable)?;
        let listener = TcpListener::from_std(listener).map_err(unusable)?;
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(OneKey {
            access_key: credentials.0,
            secret_key: credentials.1.into(),
        });
        let graceful = GracefulShutdown::new();
        accept(&listener, &builder.build(), &graceful, shutdown).await;
        drop(listener);
        if tokio::time::timeout(FINISH_WAIT, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests to the vault were cut off");
        }
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    service: &S3Service,
    graceful: &GracefulShutdown,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(shutdown);
    loop {
        let next = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            () = &mut shutdown => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve_one(stream, service.clone(), graceful);
                tokio::spawn(async move {
                    serving.await;
                    drop(slot);
                });
            }
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept a connection to the vault");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serve one connection to its end.
fn serve_one(
    stream: TcpStream,
    service: S3Service,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    // Small answers are sent at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = hyper::service::Service::call(&service, request);
        async move { answer.await.map(marked) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    async move {
        if let Err(e) = watched.await {
            // A client that hangs up is no failure.
            tracing::debug!(error = %e, "a connection to the vault ended early");
        }
    }
}
