//! Publishes to one SNS topic.
//!
//! It tries a few times within its time-outs and then says what is wrong; it
//! never queues and never waits longer than [`Timeouts::operation_ms`] says.
//!
//! [`Timeouts::operation_ms`]: super::Timeouts::operation_ms

use super::client::NoticeOptions;
use super::fault::Target;
use super::{client, fault};
use crate::types::{Class, Fatal, Fault};
use aws_sdk_sns::Client;

/// What is needed to publish.
const PUBLISH: &str = "sns:Publish";
/// What is needed to look at the topic; publishing works without.
const ATTRIBUTES: &str = "sns:GetTopicAttributes";

/// One SNS topic. Cheap to clone; one client is shared.
#[derive(Debug, Clone)]
pub struct Notifier {
    client: Client,
    target: Target,
}

/// What a look at the topic found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicCheck {
    /// The topic is there.
    Found {
        /// Subscriptions that get messages; `None` when the server does not say.
        confirmed: Option<u64>,
        /// Subscriptions whose owner has not clicked the link in the mail yet.
        pending: Option<u64>,
    },
    /// These credentials may not look, which says nothing about publishing.
    NotAllowed(Fault),
}

impl Notifier {
    /// A notifier for that topic. Reads the AWS configuration files; asks
    /// neither for credentials nor the server yet.
    ///
    /// # Errors
    /// A usage [`Fatal`] when the ARN or the endpoint is not one.
    pub async fn new(options: NoticeOptions) -> Result<Self, Fatal> {
        let own_region = client::region_of(&options.topic_arn)?;
        if let Some(url) = &options.endpoint_url {
            client::check_endpoint(url)?;
        }
        let region = options.region.clone().unwrap_or_else(|| own_region.clone());
        let foreign_region = (region != own_region).then(|| region.clone());
        let client = client::build(&options, region).await;
        Ok(Self {
            client,
            target: Target {
                topic_arn: options.topic_arn,
                endpoint_url: options.endpoint_url,
                profile: options.profile,
                foreign_region,
            },
        })
    }

    /// The topic's ARN.
    pub fn topic_arn(&self) -> &str {
        &self.target.topic_arn
    }

    /// Publish a message that fits (`digest::report` sees to that); its id.
    ///
    /// # Errors
    /// [`Class::Credentials`], [`Class::Denied`], [`Class::NotFound`] (the
    /// topic), [`Class::Refused`], [`Class::SlowDown`] or [`Class::Transient`],
    /// the last two also when the message may have gone out.
    pub async fn publish(&self, subject: &str, body: &str) -> Result<String, Fault> {
        let answer = self
            .client
            .publish()
            .topic_arn(&self.target.topic_arn)
            .subject(subject)
            .message(body)
            .send()
            .await
            .map_err(|error| fault::of(&error, "publish the message", PUBLISH, &self.target))?;
        // An answer without an id is no acknowledgement: some proxies say 200 to anything.
        answer.message_id.ok_or_else(|| {
            Fault::new(
                Class::Transient,
                "publish the message",
                &self.target.topic_arn,
                "the server answered without a message id",
            )
            .hint("check that the endpoint is SNS and not a proxy or a login page")
        })
    }

    /// Whether the topic is there, and whether anybody gets its messages.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), save that a denial is a finding: looking
    /// needs another permission than publishing.
    pub async fn check_topic(&self) -> Result<TopicCheck, Fault> {
        let answer = self
            .client
            .get_topic_attributes()
            .topic_arn(&self.target.topic_arn)
            .send()
            .await
            .map_err(|error| fault::of(&error, "look at the topic", ATTRIBUTES, &self.target));
        match answer {
            Ok(answer) => {
                let number = |name| answer.attributes()?.get(name)?.parse().ok();
                Ok(TopicCheck::Found {
                    confirmed: number("SubscriptionsConfirmed"),
                    pending: number("SubscriptionsPending"),
                })
            }
            Err(fault) if fault.class == Class::Denied => Ok(TopicCheck::NotAllowed(fault)),
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sns::client::Timeouts;
    use std::time::Duration;

    /// A notifier with keys of its own, for an endpoint of the test. The file
    /// of keys is read with the first request, so it lives as long.
    async fn notifier(endpoint_url: &str, keys: &str) -> (Notifier, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), keys).unwrap();
        let notifier = Notifier::new(NoticeOptions {
            topic_arn: "arn:aws:sns:eu-central-1:111122223333:t".to_owned(),
            endpoint_url: Some(endpoint_url.to_owned()),
            credentials_file: Some(file.path().to_owned()),
            timeouts: Timeouts {
                connect_ms: 500,
                attempt_ms: 1_000,
                operation_ms: 1_500,
            },
            ..NoticeOptions::default()
        })
        .await
        .unwrap();
        (notifier, file)
    }

    const KEYS: &str = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
                        aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n";

    #[tokio::test]
    async fn a_server_that_is_not_there_is_transient_and_named() {
        let (notifier, _keys) = notifier("http://127.0.0.1:1", KEYS).await;
        let fault = notifier.publish("s", "b").await.unwrap_err();
        assert_eq!(fault.class, Class::Transient, "{fault}");
        assert!(fault.hint.contains("http://127.0.0.1:1"), "{fault}");
        assert!(!fault.to_string().contains("EXAMPLE"), "{fault}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (notifier, _keys) = notifier(&url, KEYS).await;
        let publish = notifier.publish("s", "b");
        let fault = tokio::time::timeout(Duration::from_secs(20), publish)
            .await
            .expect("the publish must end by its own time-out")
            .unwrap_err();
        assert_eq!(fault.class, Class::Transient, "{fault}");
    }

    /// A server that says this to everything.
    fn saying(answer: &'static str) -> String {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut body_bytes = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    let lower = line.to_ascii_lowercase();
                    if let Some(length) = lower.strip_prefix("content-length:") {
                        body_bytes = length.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; body_bytes];
                // A client that has had enough hangs up.
                let _ = reader.read_exact(&mut body);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        url
    }

    /// A message that nobody has is kept: a sign-in page has published nothing.
    #[tokio::test]
    async fn what_a_portal_or_proxy_answers_is_no_message_sent() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 34\r\nconnection: close\r\n\r\n\
             <html><body>Sign in</body></html>\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<portal/>",
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 69\r\nconnection: close\r\n\r\n\
             <PublishResponse><PublishResult><x/></PublishResult></PublishResponse>",
        ] {
            let (notifier, _keys) = notifier(&saying(answer), KEYS).await;
            let fault = notifier.publish("s", "b").await.unwrap_err();
            assert_eq!(fault.class, Class::Transient, "{answer}: {fault}");
            assert!(notifier.check_topic().await.is_err(), "{answer}");
        }
    }

    #[tokio::test]
    async fn missing_credentials_say_where_they_belong() {
        for keys in ["", "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"] {
            let (notifier, _keys) = notifier("http://127.0.0.1:1", keys).await;
            let fault = notifier.publish("s", "b").await.unwrap_err();
            assert_eq!(fault.class, Class::Credentials, "{fault}");
            assert!(fault.hint.contains("credentials"), "{fault}");
            assert!(!fault.to_string().contains("EXAMPLE"), "{fault}");
        }
    }
}
