//! What was being done when something failed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Names each operation once, with the words by which people read it and by which it
/// is stored.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $words:literal,)*) => {
        /// What was being done, as a verb that takes the subject of a [`super::Fault`].
        ///
        /// It is stored and sent as its words. Whatever a decision is made by has a name
        /// here; nothing may be decided by the words of [`Operation::Other`].
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum Operation {
            $($(#[$doc])* $name,)*
            /// Anything else, in words.
            Other(String),
        }

        impl Operation {
            /// The operations that have a name.
            #[cfg(test)]
            const NAMED: &[Self] = &[$(Self::$name),*];

            /// The words by which people read it.
            pub fn words(&self) -> &str {
                match self {
                    $(Self::$name => $words,)*
                    Self::Other(words) => words,
                }
            }
        }

        impl From<&str> for Operation {
            fn from(words: &str) -> Self {
                match words {
                    $($words => Self::$name,)*
                    _ => Self::Other(words.to_owned()),
                }
            }
        }
    };
}

operations! {
    /// PutObject.
    Upload = "upload",
    /// CreateMultipartUpload.
    BeginUpload = "begin the upload of",
    /// UploadPart.
    UploadPart = "upload a part of",
    /// UploadPartCopy.
    CopyPart = "copy a part of",
    /// CompleteMultipartUpload.
    CompleteUpload = "complete the upload of",
    /// AbortMultipartUpload.
    AbortUpload = "abort the upload of",
    /// CopyObject.
    Copy = "copy",
    /// DeleteObject without a version.
    MarkDeleted = "mark as deleted",
    /// RestoreObject.
    Thaw = "thaw",
    /// HeadObject.
    LookUp = "look up",
    /// GetObject.
    Download = "download",
    /// ListObjectsV2, or reading a folder of this computer.
    List = "list",
    /// ListObjectVersions.
    ListVersions = "list the versions of",
    /// ListMultipartUploads.
    ListUploads = "list the open uploads of",
    /// ListParts.
    ListParts = "list the parts of",
    /// ListBuckets.
    ListBuckets = "list the buckets of",
    /// GetBucketVersioning.
    ReadVersioning = "read the versioning state of",
}

impl Operation {
    /// The bucket is only asked something: that it answers does not say whether it
    /// takes files.
    pub fn is_reading(&self) -> bool {
        matches!(
            self,
            Self::List
                | Self::LookUp
                | Self::Download
                | Self::ListVersions
                | Self::ListUploads
                | Self::ListParts
                | Self::ListBuckets
                | Self::ReadVersioning
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl From<String> for Operation {
    fn from(words: String) -> Self {
        match Self::from(words.as_str()) {
            Self::Other(_) => Self::Other(words),
            named => named,
        }
    }
}

impl From<&String> for Operation {
    fn from(words: &String) -> Self {
        Self::from(words.as_str())
    }
}

impl From<&Operation> for Operation {
    fn from(operation: &Operation) -> Self {
        operation.clone()
    }
}

impl From<Operation> for String {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Other(words) => words,
            named => named.words().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_stored_as_its_words_and_comes_back_as_itself() {
        let other = Operation::from("write the index");
        assert_eq!(other, Operation::Other("write the index".to_owned()));
        for operation in Operation::NAMED.iter().chain([&other]) {
            let stored = serde_json::to_string(operation).unwrap();
            assert_eq!(stored, format!("\"{operation}\""));
            let back: Operation = serde_json::from_str(&stored).unwrap();
            assert_eq!(back, *operation);
            assert_eq!(Operation::from(operation.words()), *operation);
        }
        assert_eq!(Operation::NAMED.len(), 17);
    }
}
