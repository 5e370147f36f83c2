//! A large upload that was broken off goes on with the parts that the server
//! has, if the file is still the same; otherwise nothing of it stays.
//!
//! `line` is a counting line to the vault over HTTP; `cut` breaks it (and the
//! real program) in the middle; `kept` looks at what a run finds of the one
//! before it.

mod cut;
mod kept;
mod line;

use crate::errors::is_for;
use crate::harness::{BUCKET, Fate, Faults, Rig, Seen, until};
use keepwatch::config::Config;
use keepwatch::s3::{At, ListedPart, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sent in several parts, also where they are as large as they get.
const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// Parts that arrive before an upload is broken off.
const ARRIVED: usize = 3;

const KEY: &str = "large.bin";

/// Another file, in tests where one of two meets a fate of its own.
const REFUSED: &str = "refused.bin";

fn at() -> At<'static> {
    At {
        bucket: BUCKET,
        key: KEY,
    }
}

/// Not compressible and not all the same, so that parts differ.
fn noise(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; LARGE_BYTES];
    random.fill(&mut bytes);
    bytes
}

/// The value of a query parameter.
fn query<'a>(uri: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = uri.split(['?', '&']).filter_map(|f| f.split_once('='));
    fields.find(|(field, _)| *field == name).map(|(_, v)| v)
}

/// What a request is to an upload in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Begin,
    Part(usize),
    ListParts,
    ListUploads,
    ListVersions,
    Complete,
    Abort(String),
    Other,
}

fn step(method: &str, uri: &str) -> Step {
    let part = query(uri, "partNumber").map(|number| number.parse().unwrap());
    match (method, part, query(uri, "uploadId")) {
        ("PUT", Some(number), _) => Step::Part(number),
        ("POST", _, Some(_)) => Step::Complete,
        ("POST", _, None) if uri.contains("uploads") => Step::Begin,
        ("DELETE", _, Some(id)) => Step::Abort(id.to_owned()),
        ("GET", _, Some(_)) => Step::ListParts,
        ("GET", _, None) if uri.contains("uploads") => Step::ListUploads,
        ("GET", _, None) if uri.contains("versions") => Step::ListVersions,
        _ => Step::Other,
    }
}

/// Every step that went by.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<Step>>>);

impl Tape {
    /// A store on the rig's vault whose requests are written down and meet what
    /// `fate` says; those of [`REFUSED`] meet it alone.
    fn store(&self, rig: &Rig, fate: impl Fn(&Step, bool) -> Fate + Send + 'static) -> Store {
        let tape = self.clone();
        rig.faulty_store(&Faults::new(move |seen: &Seen| {
            let (step, is_refused) = (step(&seen.method, &seen.uri), is_for(seen, REFUSED));
            let fate = fate(&step, is_refused);
            if !is_refused {
                tape.0.lock().unwrap().push(step);
            }
            fate
        }))
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = self.0.lock().unwrap().clone();
        steps.retain(|step| *step != Step::Other);
        steps
    }

    /// The numbers of the parts that were sent, in order.
    fn parts(&self) -> Vec<usize> {
        let mut parts: Vec<usize> = self
            .steps()
            .iter()
            .filter_map(|step| match step {
                Step::Part(number) => Some(*number),
                _ => None,
            })
            .collect();
        parts.sort_unstable();
        parts
    }

    fn count(&self, wanted: &Step) -> usize {
        self.steps().iter().filter(|step| *step == wanted).count()
    }

    /// It went on with what was there: nothing of that was sent again, and
    /// everything else once.
    fn went_on(&self) {
        let parts = self.parts();
        assert_eq!(self.count(&Step::Begin), 0, "{:?}", self.steps());
        let all: Vec<usize> = (ARRIVED + 1..=parts.last().copied().unwrap_or(0)).collect();
        assert!(!parts.is_empty() && parts == all, "{parts:?}");
    }

    /// It began anew, and sent everything.
    fn began_anew(&self) {
        let parts = self.parts();
        assert_eq!(self.count(&Step::Begin), 1, "{:?}", self.steps());
        let all: Vec<usize> = (1..=parts.last().copied().unwrap_or(0)).collect();
        assert!(parts.len() > ARRIVED && parts == all, "{parts:?}");
    }
}

/// Only the first parts arrive; the others are on their way for ever.
fn first_parts(step: &Step, _: bool) -> Fate {
    match step {
        Step::Part(number) if *number > ARRIVED => Fate::Late(Duration::from_secs(600)),
        _ => Fate::Pass,
    }
}

/// Ids of the uploads of the large file that are open.
async fn open(rig: &Rig) -> Vec<String> {
    let open = rig.store().open_uploads_of(at()).await.unwrap();
    open.into_iter().map(|upload| upload.upload_id).collect()
}

/// What the vault has of the only open upload.
async fn arrived(rig: &Rig) -> Vec<ListedPart> {
    match &open(rig).await[..] {
        [] => Vec::new(),
        [id] => rig.store().list_parts(at(), id).await.unwrap_or_default(),
        more => panic!("{more:?}"),
    }
}

/// A run that is stopped while the first parts of the large file are there and
/// no others; the upload's id.
async fn broken_off(rig: &Rig) -> String {
    broken_off_with(rig, rig.config()).await;
    assert_eq!(arrived(rig).await.len(), ARRIVED);
    open(rig).await.remove(0)
}

/// The same of the only large file there is.
async fn broken_off_with(rig: &Rig, mut config: Config) {
    config.limits.shutdown_timeout_ms = 200;
    let store = Tape::default().store(rig, first_parts);
    let daemon = rig.start_with(config, Some(store)).await;
    until("the first parts are acknowledged", async || {
        let index = &daemon.components().index;
        let noted = index.multiparts().unwrap();
        let of = |note| index.parts_acknowledged(note).unwrap().len();
        noted.iter().map(of).sum::<usize>() == ARRIVED
    })
    .await;
    daemon.stop().await.unwrap();
    let open = rig.store().open_uploads(BUCKET, "").await.unwrap();
    assert_eq!(open.len(), 1, "a stop leaves it open");
}
