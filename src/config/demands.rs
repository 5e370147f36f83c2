//! What a bucket demands of every request, as the configuration says it.
//! Pure: no disk, no network.

use super::problem::{Problem, looks_secret, shown};
use super::settings::S3Demands;
use crate::types::Fatal;

/// Encryptions that S3 does by itself. Keys of the customer's own (SSE-C) are secrets,
/// which belong into no configuration.
const ENCRYPTIONS: [&str; 3] = ["AES256", "aws:kms", "aws:kms:dsse"];

/// Classes that are read at once.
const CLASSES: [&str; 6] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "REDUCED_REDUNDANCY",
];

/// Longer than any ARN of a key.
const KEY_BYTES_MAX: usize = 2048;

pub(super) fn encryption(text: &str) -> Result<String, Problem> {
    match ENCRYPTIONS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(Problem::new(
            format!("{} is no encryption that S3 does", shown(text)),
            "write \"AES256\" (S3's own key) or \"aws:kms\" (a key of KMS, named by kms_key_id), or leave it out for the bucket's own setting",
        )),
    }
}

pub(super) fn kms_key_id(text: &str) -> Result<String, Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/:.".contains(c);
    let fits = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain);
    if fits && !looks_secret(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("{} does not name a key of KMS", shown(text)),
        "copy the key's ARN from the KMS console, like arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ))
}

/// A key beside an encryption that takes none.
pub(super) fn key_without_kms(_: &str) -> Result<String, Problem> {
    Err(Problem::new(
        "a key of KMS does not go with server_side_encryption = \"AES256\"",
        "write server_side_encryption = \"aws:kms\", or remove kms_key_id",
    ))
}

pub(super) fn storage_class(text: &str) -> Result<String, Problem> {
    if CLASSES.contains(&text) {
        return Ok(text.to_owned());
    }
    let fault = match text {
        "GLACIER" | "DEEP_ARCHIVE" => "versions in it cannot be read without hours of thawing",
        _ => "S3 has no such storage class for new versions",
    };
    Err(Problem::new(
        format!("{}: {fault}", shown(text)),
        "write one that is read at once, like \"STANDARD_IA\" or \"INTELLIGENT_TIERING\"; a lifecycle rule of the bucket can move old versions to Glacier",
    ))
}

/// The number of an AWS account.
pub(super) fn account(text: &str) -> Result<String, Problem> {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err(Problem::new(
            format!("{} is not the number of an AWS account", shown(text)),
            "write its 12 digits in quotes, like \"111122223333\"",
        )),
    }
}

impl S3Demands {
    /// What is demanded of requests that only read, by `--requester-pays` and
    /// `--expected-bucket-owner`.
    ///
    /// # Errors
    /// A usage error that names the flag.
    pub fn of_reading(requester_pays: bool, owner: Option<&str>) -> Result<Self, Fatal> {
        let owner = owner.map(account).transpose();
        Ok(Self {
            requester_pays,
            expected_bucket_owner: owner
                .map_err(|wrong| wrong.of_flag("--expected-bucket-owner"))?,
            ..Self::default()
        })
    }

    /// Those of them that a configuration may have: what a bucket says of itself is
    /// anybody's word.
    #[must_use]
    pub fn well_formed(self) -> Self {
        let take = |text: Option<String>, check: fn(&str) -> Result<String, Problem>| {
            text.and_then(|text| check(&text).ok())
        };
        let encryption = take(self.encryption, encryption);
        let is_without_key = encryption.as_deref() == Some("AES256");
        Self {
            kms_key_id: take(self.kms_key_id, kms_key_id).filter(|_| !is_without_key),
            encryption,
            storage_class: take(self.storage_class, storage_class),
            requester_pays: self.requester_pays,
            expected_bucket_owner: take(self.expected_bucket_owner, account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_demand_is_left_out_and_what_is_wrong_in_a_flag_is_named() {
        let text = |text: &str| Some(text.to_owned());
        let said = S3Demands {
            encryption: text("AES256"),
            kms_key_id: text("alias/office"),
            storage_class: text("GLACIER"),
            requester_pays: true,
            expected_bucket_owner: text("1\n[source]"),
        };
        let want = S3Demands {
            encryption: text("AES256"),
            requester_pays: true,
            ..S3Demands::default()
        };
        assert_eq!(said.well_formed(), want);
        let reading = S3Demands::of_reading(true, Some("111122223333")).unwrap();
        assert_eq!(reading.clone().well_formed(), reading);
        let fatal = S3Demands::of_reading(false, Some("1111-2222-3333")).unwrap_err();
        assert_eq!(fatal.exit_code(), 2);
        assert!(
            fatal.to_string().contains("--expected-bucket-owner"),
            "{fatal}"
        );
    }

    #[test]
    fn demands_by_their_shape() {
        type Check = fn(&str) -> Result<String, Problem>;
        const ARN: &str =
            "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let checks: [(Check, &[&str], &[&str]); 4] = [
            (
                encryption,
                &["AES256", "aws:kms", "aws:kms:dsse"],
                &["", "aes256", "SSE-KMS"],
            ),
            (kms_key_id, &[ARN, "alias/office"], &["", "a key", "k\n"]),
            (
                storage_class,
                &["STANDARD", "STANDARD_IA", "GLACIER_IR"],
                &["", "standard", "GLACIER", "DEEP_ARCHIVE"],
            ),
            (
                account,
                &["111122223333"],
                &["", "11112222333", "1111-2222-3333"],
            ),
        ];
        for (check, good, bad) in checks {
            for text in good {
                assert_eq!(check(text).as_deref(), Ok(*text));
            }
            for text in bad {
                assert!(check(text).is_err(), "{text}");
            }
        }
    }
}
