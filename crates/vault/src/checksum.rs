//! The checksum algorithms of S3.

use super::record::Sums;

/// A checksum algorithm that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// As S3 writes it, e.g. `CRC32C`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Read either the name or the header that carries the value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let name = text.strip_prefix("X-AMZ-CHECKSUM-").unwrap_or(&text);
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The header or trailer that carries the value.
    pub(super) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    /// The value among `sums`.
    pub(super) fn of(self, sums: &Sums) -> Option<&String> {
        match self {
            Self::Crc32 => sums.crc32.as_ref(),
            Self::Crc32c => sums.crc32c.as_ref(),
            Self::Crc64Nvme => sums.crc64nvme.as_ref(),
            Self::Sha1 => sums.sha1.as_ref(),
            Self::Sha256 => sums.sha256.as_ref(),
        }
    }

    /// Where the value is kept among `sums`.
    pub(super) fn slot(self, sums: &mut Sums) -> &mut Option<String> {
        match self {
            Self::Crc32 => &mut sums.crc32,
            Self::Crc32c => &mut sums.crc32c,
            Self::Crc64Nvme => &mut sums.crc64nvme,
            Self::Sha1 => &mut sums.sha1,
            Self::Sha256 => &mut sums.sha256,
        }
    }
}

/// The checksums that s3s has computed.
pub(super) fn sums_of(sums: s3s::dto::Checksum) -> Sums {
    Sums {
        crc32: sums.checksum_crc32,
        crc32c: sums.checksum_crc32c,
        crc64nvme: sums.checksum_crc64nvme,
        sha1: sums.checksum_sha1,
        sha256: sums.checksum_sha256,
        is_composite: false,
    }
}
