//! stand-in while the vault is built
use aws_smithy_runtime_api::client::http::SharedHttpClient;
#[allow(missing_docs)]
pub struct Vault;
#[allow(missing_docs)]
impl Vault {
    pub fn open(_: &std::path::Path) -> Result<Self, crate::error::Fatal> {
        unimplemented!()
    }
    pub fn http_client(&self) -> SharedHttpClient {
        unimplemented!()
    }
}
impl Vault {
    #[allow(missing_docs)]
    pub fn ensure_bucket(&self, _: &str) -> Result<(), crate::error::Fatal> {
        unimplemented!()
    }
}

impl Vault {
    #[allow(missing_docs)]
    pub async fn serve(
        &self,
        _: std::net::TcpListener,
        _: (String, String),
        _: impl Future<Output = ()>,
    ) -> Result<(), crate::error::Fatal> {
        unimplemented!()
    }
}
impl Vault {
    /// True when there is a vault in this folder.
    pub fn is_at(folder: &std::path::Path) -> bool {
        folder.join(".keepwatch-vault").is_dir()
    }
}
