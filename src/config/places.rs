//! What the names of places must look like: buckets, prefixes, servers, topics.
//! Pure: no disk, no network.
//!
//! Used for the file and for the flags of `restore` alike.

use super::problem::{Problem, looks_secret, shown};
use crate::types::{KEY_BYTES_MAX, is_hidden};

/// Half of a key is kept for the file's own path.
const PREFIX_BYTES_MAX: usize = KEY_BYTES_MAX / 2;

/// Keepwatch's own objects in a bucket.
const RESERVED_FOLDER: &str = ".keepwatch";

/// A bucket's name by S3's rules for general purpose buckets.
pub(super) fn bucket(text: &str) -> Result<String, Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fault = if text.is_empty() {
        Some("it is empty")
    } else if text.contains('/') || text.contains(':') {
        Some("only the bucket's own name belongs here, without s3:// and without a folder")
    } else if !(3..=63).contains(&text.len()) {
        Some("it must have 3 to 63 characters")
    } else if !text.chars().all(|c| plain(c) || c == '.' || c == '-') {
        Some("only lower case letters a to z, digits, `-` and `.` are allowed")
    } else if !text.starts_with(plain) || !text.ends_with(plain) {
        Some("it must begin and end with a letter or a digit")
    } else if text.contains("..") {
        Some("two dots may not follow each other")
    } else if text.parse::<std::net::Ipv4Addr>().is_ok() {
        Some("it may not look like an IP address")
    } else if ["xn--", "sthree-", "amzn-s3-demo-"]
        .iter()
        .any(|p| text.starts_with(p))
        || ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]
            .iter()
            .any(|s| text.ends_with(s))
    {
        Some("S3 keeps this beginning or ending for itself")
    } else {
        None
    };
    match fault {
        None => Ok(text.to_owned()),
        Some(fault) => Err(Problem::new(
            format!("{} cannot be a bucket's name: {fault}", shown(text)),
            "copy the name from the list of buckets in the S3 console, like documents-backup-254",
        )),
    }
}

/// A prefix, made to end in `/` (or empty) and not to begin with one.
pub(super) fn prefix(text: &str) -> Result<String, Problem> {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return Ok(String::new());
    }
    let parts: Vec<&str> = inner.split('/').collect();
    let fault = if inner.contains('\\') {
        Some("it has a backslash; S3 separates folders with /")
    } else if inner.chars().any(is_hidden) {
        Some("it has control or invisible characters")
    } else if parts.iter().any(|part| matches!(*part, "." | "..")) {
        Some("`.` and `..` mean nothing in S3")
    } else if parts.contains(&"") {
        Some("it has two / in a row")
    } else if parts.first() == Some(&RESERVED_FOLDER) {
        Some(".keepwatch/ is where Keepwatch keeps its own objects")
    } else if inner.len() >= PREFIX_BYTES_MAX {
        Some("it is longer than 511 bytes, which leaves too little of a key to the files")
    } else {
        None
    };
    match fault {
        None => Ok(format!("{inner}/")),
        Some(fault) => Err(Problem::new(
            format!("{} cannot be a prefix: {fault}", shown(text)),
            "write a plain folder name like \"office/\", or \"\" for the whole bucket",
        )),
    }
}

/// The address of a server other than AWS.
pub(super) fn endpoint_url(text: &str) -> Result<String, Problem> {
    let remedy = "write the server's address like https://s3.example or http://127.0.0.1:9000";
    // Said first and without the text: it holds a password.
    if text.contains('@') {
        return Err(Problem::new(
            "the address has a user or password in it (it is not repeated here)",
            "remove everything up to the @, and put credentials where AWS tools keep them: the file .aws/credentials or the AWS_… variables of the service",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(Problem::new(
            "the address has something after ? or # in it (it is not repeated here)",
            remedy,
        ));
    }
    let address: Option<http::Uri> = text.parse().ok();
    let fault = match address.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http" | "https"), Some(host))) if !host.is_empty() => None,
        Some((Some("http" | "https"), _)) => Some("it names no server"),
        Some((Some(_), _)) => Some("it must begin with https:// or http://"),
        _ if !text.contains("://") => Some("it must begin with https:// or http://"),
        _ => Some("it is not an address"),
    };
    match fault {
        None => Ok(text.trim_end_matches('/').to_owned()),
        Some(fault) => Err(Problem::new(format!("{}: {fault}", shown(text)), remedy)),
    }
}

/// A region's name; compatible servers have their own.
pub(super) fn region(text: &str) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let fits = (1..=63).contains(&text.len()) && text.chars().all(allowed);
    if fits && !looks_secret(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("{} is not the name of a region", shown(text)),
        "write the bucket's region like eu-central-1, or leave it out to use the one of the AWS configuration",
    ))
}

/// A profile of the AWS configuration files.
pub(super) fn profile(text: &str) -> Result<String, Problem> {
    if !text.trim().is_empty() && !text.chars().any(is_hidden) && !looks_secret(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("{} is not the name of a profile", shown(text)),
        "write the name that stands in [brackets] in .aws/credentials, or leave it out",
    ))
}

/// An SNS topic that can send mail.
pub(super) fn topic_arn(text: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = text.split(':').collect();
    let fault = match parts.as_slice() {
        ["arn", _, "sns", _, _, _, _] => {
            Some("this is a subscription; the topic's own ARN has one part less")
        }
        ["arn", _, "sns", _, _, name] if name.ends_with(".fifo") => {
            Some("a FIFO topic cannot send mail")
        }
        ["arn", partition, "sns", region, account, name] => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let fits = partition.starts_with("aws")
                && !region.is_empty()
                && region.chars().all(is_name)
                && account.len() == 12
                && account.chars().all(|c| c.is_ascii_digit())
                && (1..=256).contains(&name.len())
                && name.chars().all(is_name);
            (!fits).then_some("a part of it is missing or misspelt")
        }
        _ => Some("it does not begin with arn:aws:sns:"),
    };
    match fault {
        None => Ok(text.to_owned()),
        Some(fault) => Err(Problem::new(
            format!("{} is not the ARN of an SNS topic: {fault}", shown(text)),
            "copy it from the topic's page in the SNS console, like arn:aws:sns:eu-central-1:111122223333:BackupNotifications",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_by_the_rules_of_s3() {
        let longest = "a".repeat(63);
        for good in ["database-backup-254", "abc", "a.b-c.9", &longest] {
            assert_eq!(bucket(good).as_deref(), Ok(good));
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "ab",
            &too_long,
            "Office",
            "bücher",
            "a_b_c",
            "-abc",
            "abc-",
            ".abc",
            "a..b",
            "192.168.1.1",
            "s3://office",
            "office/docs",
            "xn--office",
            "office-s3alias",
            "office--x-s3",
        ] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_are_brought_into_one_form() {
        for (text, form) in [
            ("", ""),
            ("/", ""),
            ("office", "office/"),
            ("/office/", "office/"),
            ("a/b c/ü", "a/b c/ü/"),
            (".keepwatches", ".keepwatches/"),
            ("..a", "..a/"),
        ] {
            assert_eq!(prefix(text).as_deref(), Ok(form), "{text}");
        }
        let too_long = "x".repeat(512);
        for bad in [
            "..",
            "a/../b",
            "./a",
            "a//b",
            ".keepwatch",
            ".keepwatch/x/",
            "a\\b",
            "a\nb",
            &too_long,
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_are_plain_addresses() {
        for (text, form) in [
            ("https://s3.example", "https://s3.example"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            (
                "https://x.example/storage/v1/s3",
                "https://x.example/storage/v1/s3",
            ),
            ("http://[::1]:9000", "http://[::1]:9000"),
        ] {
            assert_eq!(endpoint_url(text).as_deref(), Ok(form));
        }
        for bad in [
            "",
            "s3.example",
            "ftp://s3.example",
            "https://",
            "s3.example:9000",
            "https://a b",
        ] {
            assert!(endpoint_url(bad).is_err(), "{bad}");
        }
        for secret in [
            "https://anna:hunter2@s3.example",
            "https//anna:hunter2@s3",
            "https://s3.example?key=hunter2",
        ] {
            let wrong = endpoint_url(secret).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }

    #[test]
    fn topics_by_their_shape() {
        for good in [
            "arn:aws:sns:eu-central-1:111122223333:BackupNotifications",
            "arn:aws-cn:sns:cn-north-1:111122223333:a_b-c",
        ] {
            assert!(topic_arn(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "BackupNotifications",
            "arn:aws:sqs:eu-central-1:111122223333:queue",
            "arn:aws:sns:eu-central-1:1111:topic",
            "arn:aws:sns::111122223333:topic",
            "arn:aws:sns:eu-central-1:111122223333:",
            "arn:aws:sns:eu-central-1:111122223333:topic.fifo",
            "arn:aws:sns:eu-central-1:111122223333:topic:0f1e2d3c",
        ] {
            assert!(topic_arn(bad).is_err(), "{bad}");
        }
    }
}
