//! Where the copies are, when no configuration says so.

use super::paths::path_parser;
use clap::Args;
use std::path::PathBuf;

/// Where the copies are, when no configuration says so.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Without a configuration")]
pub struct PlaceArgs {
    /// This bucket
    #[arg(long, value_name = "B")]
    pub bucket: Option<String>,

    /// In the bucket, below this prefix
    #[arg(long, value_name = "P", requires = "bucket")]
    pub prefix: Option<String>,

    /// The address of a server other than AWS
    #[arg(long, value_name = "U", requires = "bucket", conflicts_with = "vault")]
    pub endpoint_url: Option<String>,

    /// The bucket's region [default: as AWS tools are configured]
    #[arg(long, value_name = "R", requires = "bucket", conflicts_with = "vault")]
    pub region: Option<String>,

    /// The profile of the AWS configuration files
    #[arg(long, value_name = "N", requires = "bucket", conflicts_with = "vault")]
    pub profile: Option<String>,

    /// Who asks pays for requests and transfer, as the bucket demands
    #[arg(long, requires = "bucket", conflicts_with = "vault")]
    pub requester_pays: bool,

    /// The AWS account (12 digits) that the bucket must belong to
    #[arg(
        long,
        value_name = "ACCOUNT",
        requires = "bucket",
        conflicts_with = "vault"
    )]
    pub expected_bucket_owner: Option<String>,

    /// The vault in this folder
    #[arg(long, value_name = "DIR", value_parser = path_parser())]
    pub vault: Option<PathBuf>,
}

/// Where the copies are, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// The configuration says it.
    Configuration,
    /// A bucket of AWS or a compatible server.
    Bucket {
        /// Its name.
        bucket: &'a str,
        /// Below this prefix; empty for all of it. Not normalised yet.
        prefix: &'a str,
    },
    /// A vault.
    Vault {
        /// Its folder.
        path: &'a PathBuf,
        /// One of its buckets; `None` when it is to be found out.
        bucket: Option<&'a str>,
        /// Below this prefix; empty for all of it. Not normalised yet.
        prefix: &'a str,
    },
}

impl PlaceArgs {
    /// Which of the three ways was chosen.
    pub fn place(&self) -> Place<'_> {
        let bucket = self.bucket.as_deref();
        let prefix = self.prefix.as_deref().unwrap_or("");
        match (&self.vault, bucket) {
            (Some(path), bucket) => Place::Vault {
                path,
                bucket,
                prefix,
            },
            (None, Some(bucket)) => Place::Bucket { bucket, prefix },
            (None, None) => Place::Configuration,
        }
    }
}
