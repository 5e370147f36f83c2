//! Getting a message to the owner: through the durable outbox to SNS, or into
//! a file when there is no topic.
//!
//! Invariant: a message is in the outbox before anything is tried (unless the
//! outbox itself is broken), and leaves it only when SNS has acknowledged it or it
//! is in a file.

use super::message::Message;
use crate::clock::Clock;
use crate::index::{Index, OUTBOX_MAX, OutboxMessage};
use crate::os::blocking::blocking;
use crate::sns::{Notifier, TopicCheck, write_digest};
use crate::types::{Class, Fault, WallMs, chain};
use jiff::tz::TimeZone;
use parking_lot::Mutex as SyncMutex;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// What waits in the outbox is tried again after this.
const AGAIN: Duration = Duration::from_secs(30);

/// Messages whose ids are remembered for whoever waits for them: as many as may
/// wait in the outbox.
const SENT_MAX: usize = OUTBOX_MAX as usize;

/// Sends messages to the owner, and keeps them until they are sent.
pub struct OutboxSender {
    index: Index,
    clock: Clock,
    /// The zone by whose date a digest's file is named.
    time_zone: TimeZone,
    notifier: Option<Notifier>,
    /// Folder of the digest files.
    folder: PathBuf,
    /// One at a time, or a message could go out twice. What went out last: its
    /// number in the outbox and SNS's id.
    sending: Mutex<VecDeque<(u64, String)>>,
    /// Something new is in the outbox.
    kept: Notify,
    /// Why no mail goes out, and since when (milliseconds since 1970).
    trouble: SyncMutex<Option<(WallMs, Fault)>>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// SNS took it, under this message id.
    Published(String),
    /// It is in a file, because no topic is configured.
    Written(PathBuf),
    /// It waits in the outbox: why.
    Waiting(Fault),
}

impl Delivery {
    /// The reader has it, where it was meant to go.
    pub fn is_delivered(&self) -> bool {
        match self {
            // Refused by SNS, which gave no id.
            Self::Published(id) => !id.is_empty(),
            Self::Written(_) => true,
            Self::Waiting(_) => false,
        }
    }
}

/// Where a message is that cannot be lost any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In the outbox, under this number.
    Queued(u64),
    /// With its reader already.
    Delivered(Delivery),
}

impl OutboxSender {
    /// To a topic, or into files in `folder`.
    pub fn new(
        notifier: Option<Notifier>,
        folder: PathBuf,
        index: Index,
        clock: Clock,
        time_zone: TimeZone,
    ) -> Self {
        Self {
            index,
            clock,
            time_zone,
            notifier,
            folder,
            sending: Mutex::default(),
            kept: Notify::new(),
            trouble: SyncMutex::default(),
        }
    }

    /// Why no mail goes out, and since when; `None` while nothing says that none does.
    pub fn trouble(&self) -> Option<(WallMs, Fault)> {
        self.trouble.lock().clone()
    }

    /// What the topic answered last. News is logged here, once.
    fn heard(&self, answer: Result<(), &Fault>) {
        let mut trouble = self.trouble.lock();
        match answer {
            Ok(()) => {
                if trouble.take().is_some() {
                    tracing::info!("mail goes out again");
                }
            }
            Err(fault) => {
                let is_news = trouble.as_ref().is_none_or(|(_, old)| old != fault);
                let since_ms = trouble
                    .as_ref()
                    .map_or(self.clock.now_ms(), |(since, _)| *since);
                if is_news {
                    tracing::error!("no mail goes out: {fault}");
                }
                *trouble = Some((since_ms, fault.clone()));
            }
        }
    }

    /// Ask whether the topic is there and anybody gets its messages: a wrong one is
    /// named now, and not when there is something to say.
    async fn look_at_topic(&self) {
        let Some(notifier) = &self.notifier else {
            return;
        };
        match notifier.check_topic().await {
            Ok(TopicCheck::Found {
                confirmed: Some(0), ..
            }) => tracing::warn!(
                "nobody gets the mails of {}: no subscription is confirmed. Subscribe an address and click the link in the mail",
                notifier.topic_arn()
            ),
            // To look needs another right than to publish.
            Ok(_) => {}
            // What passes is told when there is something to send.
            Err(fault) if fault.class.is_transient() => tracing::debug!("{fault}"),
            Err(fault) => self.heard(Err(&fault)),
        }
    }

    /// Send what waits as soon as it does and again and again; never ends.
    pub async fn run(&self) {
        self.look_at_topic().await;
        loop {
            if let Err(fault) = self.flush().await {
                tracing::debug!("the outbox waits: {fault}");
            }
            // Either is a reason to look.
            let _ = tokio::time::timeout(AGAIN, self.kept.notified()).await;
        }
    }

    /// Deliver a message, or keep it for later.
    ///
    /// # Errors
    /// It could neither be sent nor kept.
    pub async fn send(&self, message: Message) -> Result<Delivery, Fault> {
        let id = match self.keep(message).await? {
            Kept::Queued(id) => id,
            Kept::Delivered(delivery) => return Ok(delivery),
        };
        match self.flush().await {
            Ok(sent) => Ok(sent
                .into_iter()
                .find(|(number, _)| *number == id)
                .map_or_else(
                    || Delivery::Published(String::new()),
                    |(_, message_id)| Delivery::Published(message_id),
                )),
            Err(fault) => {
                tracing::warn!("a message waits in the outbox: {fault}");
                Ok(Delivery::Waiting(fault))
            }
        }
    }

    /// Put a message where no kill and no outage can take it away any more: into
    /// the outbox, for [`OutboxSender::run`] to send (an SNS that hangs holds nobody up),
    /// or into a file without a topic.
    ///
    /// # Errors
    /// It could neither be kept nor sent.
    pub async fn keep(&self, message: Message) -> Result<Kept, Fault> {
        let Some(notifier) = &self.notifier else {
            tracing::info!(subject = %message.subject, "{}", message.body);
            let path = self.write(message).await?;
            return Ok(Kept::Delivered(Delivery::Written(path)));
        };
        let queued = OutboxMessage {
            subject: message.subject,
            body: message.body,
            created_ms: self.clock.now_ms(),
        };
        let kept = async {
            self.make_room().await?;
            let (index, queued) = (self.index.clone(), queued.clone());
            blocking(move || index.outbox_push(&queued)).await
        };
        match kept.await {
            Ok(id) => {
                self.kept.notify_one();
                Ok(Kept::Queued(id))
            }
            // Without the outbox there is one try; what is to be said may well
            // be that the index is broken.
            Err(broken) => {
                tracing::error!("a message cannot be kept for later: {broken}");
                let sent = notifier.publish(&queued.subject, &queued.body).await?;
                Ok(Kept::Delivered(Delivery::Published(sent)))
            }
        }
    }

    /// Put the messages that wait longest into files, where too many wait for one more.
    async fn make_room(&self) -> Result<(), Fault> {
        while self.index.outbox_len() >= OUTBOX_MAX {
            let index = self.index.clone();
            let Some((number, oldest)) = blocking(move || index.outbox_peek()).await? else {
                break;
            };
            let subject = oldest.subject.clone();
            let oldest = Message {
                subject: oldest.subject,
                body: oldest.body,
            };
            match self.write(oldest).await {
                Ok(path) => tracing::warn!(
                    subject,
                    path = %path.display(),
                    "{OUTBOX_MAX} messages wait to be mailed: the oldest is in a file now"
                ),
                Err(fault) => tracing::error!(
                    subject,
                    "{OUTBOX_MAX} messages wait to be mailed, and the oldest is dropped: {fault}"
                ),
            }
            let index = self.index.clone();
            blocking(move || index.outbox_remove(number)).await?;
        }
        Ok(())
    }

    async fn write(&self, message: Message) -> Result<PathBuf, Fault> {
        let folder = self.folder.clone();
        let zone = self.time_zone.clone();
        let now = self.clock.now_ms().timestamp().map_err(|e| {
            Fault::new(Class::Local, "date", "the message", chain(&e))
                .hint("set this computer's clock")
        })?;
        let date = now.to_zoned_datetime(zone).date();
        blocking(move || {
            let text = format!("{}\n\n{}", message.subject, message.body);
            write_digest(&folder, date, &text)
        })
        .await
    }

    /// Send what waits, oldest first; stops at the first failure. Gives what went
    /// out last, also by another's hand.
    ///
    /// # Errors
    /// Why the oldest could not be sent.
    pub async fn flush(&self) -> Result<Vec<(u64, String)>, Fault> {
        let Some(notifier) = &self.notifier else {
            return Ok(Vec::new());
        };
        let mut sent = self.sending.lock().await;
        loop {
            let next = {
                let index = self.index.clone();
                blocking(move || index.outbox_peek()).await?
            };
            let Some((number, message)) = next else {
                return Ok(sent.iter().cloned().collect());
            };
            let id = match notifier.publish(&message.subject, &message.body).await {
                Ok(id) => {
                    self.heard(Ok(()));
                    tracing::info!(subject = %message.subject, message_id = %id, "message published");
                    id
                }
                // It would be refused for ever and hold up all that come after.
                Err(fault) if fault.class == Class::Refused => {
                    tracing::error!("SNS refuses a message, it goes into a file instead: {fault}");
                    let kept = Message {
                        subject: message.subject.clone(),
                        body: message.body.clone(),
                    };
                    self.write(kept).await?;
                    String::new()
                }
                Err(fault) => {
                    self.heard(Err(&fault));
                    return Err(fault);
                }
            };
            let index = self.index.clone();
            blocking(move || index.outbox_remove(number)).await?;
            if sent.len() >= SENT_MAX {
                sent.pop_front();
            }
            sent.push_back((number, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_clock;
    use crate::s3::Store;
    use keepwatch_vault::Vault;
    use std::fs;

    #[tokio::test]
    async fn what_waits_when_too_much_does_is_in_a_file_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(&dir.path().join("index")).unwrap();
        let folder = dir.path().join("digests");
        let vault = Vault::open(&dir.path().join("vault")).unwrap();
        let store = Store::vault(vault.http_client(), "the test vault");
        let clock = Clock::new(system_clock(), store);
        let sender = OutboxSender::new(None, folder.clone(), index.clone(), clock, TimeZone::UTC);
        for number in 0..OUTBOX_MAX + 1 {
            let queued = OutboxMessage {
                subject: format!("digest {number} of them"),
                body: "all is well".to_owned(),
                created_ms: WallMs(0),
            };
            index.outbox_push(&queued).unwrap();
        }
        sender.make_room().await.unwrap();
        let (_, oldest) = index.outbox_peek().unwrap().unwrap();
        assert_eq!(oldest.subject, "digest 2 of them");
        assert_eq!(index.outbox_len(), OUTBOX_MAX - 1);
        let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
        let texts = files.iter().map(|file| {
            let path = file.as_ref().unwrap().path();
            fs::read_to_string(path).unwrap()
        });
        let text: String = texts.collect();
        for (subject, is_there) in [
            ("digest 0 of", true),
            ("digest 1 of", true),
            ("digest 2 of", false),
        ] {
            assert_eq!(text.contains(subject), is_there, "{text}");
        }
    }
}
