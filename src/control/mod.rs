//! The local socket on which commands ask the running daemon: protocol, client
//! and server. Owner only.
//!
//! One request per connection: a JSON line in, JSON lines out, the last of
//! which is the answer. It must never carry a credential or file content.

mod client;
mod protocol;
mod server;

pub use client::{Asked, REMADE_WITHIN, STATUS_WAIT, ask, ask_status};
pub use protocol::{Kept, Line, Progress, Reconciled, Request, SourceStatus, Status, Words};
pub use server::{Answer, Server};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::Drill;
    use crate::types::WallMs;
    use crate::types::{Class, Fault, Rates, Traffic};
    use crate::verify::{Verified, findings};
    use crate::watchdog::Loops;
    use std::sync::Arc;
    use tokio::sync::{mpsc, watch};

    /// Named after the bug: internally tagged enums refuse a bare sequence, so
    /// a finished reconciliation could not be told.
    #[test]
    fn every_line_can_be_sent() {
        for line in [
            Line::Alive,
            Line::Progress(Progress::default()),
            Line::Reconciled {
                sources: vec![Reconciled::default()],
            },
            Line::Status(Box::new(Status {
                version: String::new(),
                pid: 1,
                started_ms: WallMs(1),
                place: String::new(),
                rates: Rates::default(),
                traffic: Traffic::default(),
                outbox: 0,
                mail_trouble: None,
                drill: Some(Drill::default()),
                sources: vec![],
            })),
            Line::Verifying(findings::Progress::default()),
            Line::Verified {
                sources: vec![Verified::default()],
            },
            Line::Digest {
                subject: "s".into(),
                body: "b".into(),
                delivery: None,
                is_undelivered: true,
                drill: None,
            },
            Line::Failed(Fault::new(Class::Local, "a", "b", "c")),
        ] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
    }

    struct Echo;

    impl Answer for Echo {
        async fn answer(&self, request: Request, progress: mpsc::Sender<Line>) -> Line {
            if matches!(request, Request::Reconcile(_)) {
                let _ = progress.send(Line::Progress(Progress::default())).await;
                return Line::Reconciled {
                    sources: Vec::new(),
                };
            }
            Line::Failed(Fault::new(Class::Local, "do", "that", "not here"))
        }
    }

    #[tokio::test]
    async fn progress_then_answer_and_faults_come_through() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            ask(dir.path(), &Request::Status, |_| ()).await,
            Ok(None),
            "nobody runs"
        );
        let server = Server::bind(dir.path()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let pulse = Loops::default().begin("socket");
        let serving = tokio::spawn(server.serve(Arc::new(Echo), pulse, stopped));
        let mut seen = 0;
        let request = Request::Reconcile(Words::default());
        let answer = ask(dir.path(), &request, |_| seen += 1).await;
        assert_eq!(
            answer,
            Ok(Some(Line::Reconciled {
                sources: Vec::new()
            }))
        );
        assert_eq!(seen, 1);
        let failed = ask(dir.path(), &Request::Status, |_| ()).await;
        assert!(failed.unwrap_err().to_string().contains("not here"));
        stop.send(true).unwrap();
        serving.await.unwrap();
        // What a killed daemon leaves behind does not stand in the way.
        Server::bind(dir.path()).unwrap();
    }
}
