//! Whose certificates are trusted: the computer's own, and the office's beside them.
//!
//! `AWS_CA_BUNDLE`, or `ca_bundle` of the profile, adds to what the system trusts;
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` take its place, as with every program that uses
//! OpenSSL. A file that cannot be used stops nothing by itself: the servers that need
//! it are refused, and then it is named.

use super::files;
use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::path::{Path, PathBuf};

/// The certificate authorities of a whole system are a quarter of it.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is trusted, and what could not be read of it.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) store: TrustStore,
    /// Files that were named and cannot be used, each with its reason.
    pub(super) problems: Vec<String>,
}

/// What the environment and this profile say.
pub(super) async fn trust(profile: Option<&str>) -> Trust {
    let bundle = bundle(profile).await;
    let read = tokio::task::spawn_blocking(move || read(bundle)).await;
    read.unwrap_or_else(|error| Trust {
        store: TrustStore::default(),
        problems: vec![error.to_string()],
    })
}

/// The office's own certificates: who names them, and the file.
async fn bundle(profile: Option<&str>) -> Option<(String, PathBuf)> {
    if let Some(path) = set("AWS_CA_BUNDLE") {
        return Some(("AWS_CA_BUNDLE".to_owned(), path));
    }
    // Files that cannot be read are told where keys are looked for.
    let profiles = files::load(&Default::default(), profile).await.ok()?;
    let path = profiles.get("ca_bundle")?;
    let name = profiles.selected_profile();
    Some((format!("ca_bundle in the profile `{name}`"), path.into()))
}

fn set(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
    Some(value.into())
}

fn read(bundle: Option<(String, PathBuf)>) -> Trust {
    let mut problems = Vec::new();
    let mut store = TrustStore::default();
    // The SDK takes what they name as the system's.
    if let Some(path) = set("SSL_CERT_FILE")
        && let Err(wrong) = certificates(&path)
    {
        problems.push(format!(
            "SSL_CERT_FILE names {}, which {wrong}",
            path.display()
        ));
        if set("SSL_CERT_DIR").is_none() {
            // Nothing is left of the system's.
            store = TrustStore::empty();
        }
    }
    if let Some((name, path)) = bundle {
        match certificates(&path) {
            Ok(pem) => store = store.with_pem_certificate(pem),
            Err(wrong) => {
                problems.push(format!("{name} names {}, which {wrong}", path.display()));
            }
        }
    }
    Trust { store, problems }
}

/// A file of certificates, each of which can be used: the SDK panics at others.
fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if meta.len() > BUNDLE_BYTES_MAX {
        return Err("is too large to be one of certificates".to_owned());
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate =
            certificate.map_err(|error| format!("is damaged as a PEM file: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("has a certificate that cannot be used: {error}"))?;
    }
    match roots.is_empty() {
        true => Err("has no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned()),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_cannot_be_used_is_named_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let said = |path: &Path| certificates(path).unwrap_err();
        assert!(said(&path).starts_with("cannot be read"), "{}", said(&path));
        for (content, wrong) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
                "damaged",
            ),
            (
                "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(said(&path).contains(wrong), "{content}: {}", said(&path));
            let trust = read(Some(("AWS_CA_BUNDLE".to_owned(), path.clone())));
            let [problem] = trust.problems.as_slice() else {
                panic!("{trust:?}");
            };
            assert!(problem.starts_with("AWS_CA_BUNDLE names"), "{problem}");
        }
    }
}
