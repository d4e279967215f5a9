//! One process: started with its output in a file, and ended by its own id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A process that was told to end and has not by then is killed.
const STOP_MAX: Duration = Duration::from_secs(20);

/// What is run, each time that a process is started.
#[derive(Debug, Clone)]
pub struct Program {
    pub binary: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

/// It is killed when this is dropped; [`Process::stop`] lets it finish.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: Program,
    log_file: PathBuf,
    child: Child,
}

impl Process {
    /// `NAME.log` in the folder gets both its outputs, those of earlier runs too.
    pub fn start(name: &str, program: Program, folder: &Path) -> anyhow::Result<Self> {
        let log_file = folder.join(format!("{name}.log"));
        let child = spawn(name, &program, &log_file)?;
        Ok(Self { name: name.to_owned(), program, log_file, child })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    /// Ends it between two instructions, as a power cut would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("kill {}", self.name))
    }

    /// Lets it finish what it has begun; it can be started again.
    pub async fn finish(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        if let Ok(ended) = timeout(STOP_MAX, self.child.wait()).await {
            let status = ended.with_context(|| format!("wait for {}", self.name))?;
            ensure!(status.success(), "{} ended with {status}; see {}", self.name, self.log_file.display());
            return Ok(());
        }
        self.kill().await?;
        anyhow::bail!("{} did not end within {STOP_MAX:?}; see {}", self.name, self.log_file.display())
    }

    /// After [`Process::kill`] or [`Process::finish`], or when it ended by itself.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let running = self.child.try_wait().with_context(|| format!("look after {}", self.name))?.is_none();
        ensure!(!running, "{} still runs", self.name);
        self.child = spawn(&self.name, &self.program, &self.log_file)?;
        Ok(())
    }

    /// The same with another program; so is every start after it.
    pub fn start_again_as(&mut self, binary: &Path) -> anyhow::Result<()> {
        binary.clone_into(&mut self.program.binary);
        self.start_again()
    }

    /// It does nothing from now on, and does not know it; what it had sent goes on.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| format!("{} has ended; see {}", self.name, self.log_file.display()))
    }

    /// What it holds in memory, where the system tells it.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1_024)
    }

    /// Its end, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Lets it finish what it has begun.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        if self.ended().is_none() {
            self.signal(Signal::TERM)?;
        }
        if let Ok(ended) = timeout(STOP_MAX, self.child.wait()).await {
            return ended.with_context(|| format!("wait for {}", self.name));
        }
        self.kill().await?;
        anyhow::bail!(
            "{} did not end within {STOP_MAX:?} and was killed; see {}",
            self.name,
            self.log_file.display()
        )
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.with_context(|| format!("{} has ended; see {}", self.name, self.log_file.display()))?;
        kill_process(id, signal).with_context(|| format!("signal {}", self.name))
    }
}

fn spawn(name: &str, program: &Program, log_file: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(log_file);
    let log = log.with_context(|| format!("open {}", log_file.display()))?;
    let second = log.try_clone().with_context(|| format!("open {}", log_file.display()))?;
    let mut command = Command::new(&program.binary);
    command
        .args(&program.arguments)
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second)
        // Ctrl-C in a terminal is for the parent, which stops its children in their order.
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("start {name} as {}", program.binary.display()))
}
