//! Whether the daemon is worth another ping of a service manager's watchdog.

use crate::os;
use crate::watchdog::{ANSWER_WAIT, Loops, Turning};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tokio::task::JoinHandle;

/// The file that shows whether the disk of the state folder answers.
const PROBE: &str = "alive";

/// Looks whether the loops turn, and whose fault it is when they do not.
pub struct Alive {
    loops: Loops,
    state_dir: PathBuf,
    /// One at a time: on a disk that hangs it never comes back.
    probe: Option<JoinHandle<io::Result<()>>>,
}

impl Alive {
    /// Of these loops, whose index is on the disk of this folder.
    pub fn new(loops: Loops, state_dir: PathBuf) -> Self {
        Self {
            loops,
            state_dir,
            probe: None,
        }
    }

    /// The loop that only a restart would set going again. Takes [`ANSWER_WAIT`] at most.
    pub async fn stuck(&mut self) -> Option<String> {
        match self.loops.turning() {
            Turning::All => None,
            Turning::Stuck(name) => Some(name),
            Turning::IndexSilent(_) => {
                if !self.disk_answers().await {
                    return None;
                }
                match self.loops.turning() {
                    Turning::IndexSilent(name) | Turning::Stuck(name) => Some(name),
                    Turning::All => None,
                }
            }
        }
    }

    /// An error is an answer, too.
    async fn disk_answers(&mut self) -> bool {
        let folder = self.state_dir.clone();
        let begin = || tokio::task::spawn_blocking(move || write_and_remove(&folder));
        let mut probe = self.probe.take().unwrap_or_else(begin);
        let is_back = tokio::time::timeout(ANSWER_WAIT, &mut probe).await.is_ok();
        if !is_back {
            self.probe = Some(probe);
        }
        is_back
    }
}

/// Onto the disk itself, not into its cache. Blocks.
fn write_and_remove(folder: &Path) -> io::Result<()> {
    let path = folder.join(PROBE);
    let mut file = os::create_private_file(&path)?;
    file.write_all(b"Keepwatch was here.\n")?;
    file.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchdog::{INDEX_WAIT_MAX, Outside, STUCK_AFTER};

    #[tokio::test]
    async fn an_index_that_is_silent_on_a_disk_that_answers_is_stuck() {
        let folder = tempfile::tempdir().unwrap();
        tokio::time::pause();
        let loops = Loops::default();
        let mut alive = Alive::new(loops.clone(), folder.path().to_owned());
        let pulse = loops.begin("heartbeat");
        let waits = pulse.outside(Outside::Index, std::future::pending::<()>());
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        tokio::time::advance(STUCK_AFTER * 2).await;
        assert_eq!(alive.stuck().await, None);
        tokio::time::advance(INDEX_WAIT_MAX).await;
        tokio::time::resume();
        assert_eq!(alive.stuck().await.as_deref(), Some("heartbeat"));
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        // A disk that does not come back is no fault of this process.
        tokio::time::pause();
        alive.probe = Some(tokio::task::spawn(std::future::pending()));
        assert_eq!(alive.stuck().await, None);
        assert!(alive.probe.is_some());
    }
}
