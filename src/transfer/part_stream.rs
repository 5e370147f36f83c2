//! The parts of one file, made one after the other on a thread of their own.

use super::piece::{Made, Work, make};
use super::read::Content;
use super::send::Job;
use crate::files::Opened;
use crate::s3::Proof;
use crate::transfer::delta::assemble::Assembly;
use crate::types::{Class, Fault};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The parts as they are made.
pub(crate) struct PartStream {
    made: mpsc::Receiver<Result<Made, Fault>>,
    path: String,
}

impl PartStream {
    /// Begin to make the parts, on a thread that ends when nobody takes them any more.
    pub(crate) fn begin(
        job: &Job,
        content: &Content,
        opened: Opened,
        assembly: Assembly,
        proof: Option<Proof>,
    ) -> Self {
        let (to, made) = mpsc::channel(1);
        let work = Work {
            opened,
            path: job.path.clone(),
            segments: Arc::clone(&content.segments),
            is_torn: content.is_torn,
            racy: content.racy,
            proof,
            assembly,
            gzip_level: job.gzip_level,
            budget: job.budget.clone(),
            pulse: job.pulse.clone(),
        };
        let (runtime, pulse) = (Handle::current(), job.pulse.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = make(work, &to, &runtime) {
                // From here on nobody waits for the disk.
                pulse.rest();
                let _ = runtime.block_on(to.send(Err(fault)));
            }
        });
        Self {
            made,
            path: job.path.to_string(),
        }
    }

    /// The next part.
    pub(crate) async fn next(&mut self) -> Result<Made, Fault> {
        self.made.recv().await.unwrap_or_else(|| {
            let why = "the reading thread ended early";
            Err(Fault::new(Class::Local, "read", &self.path, why))
        })
    }
}
