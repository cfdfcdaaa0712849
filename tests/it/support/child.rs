//! The real binary, as a process of its own.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::folder::Folder;
use super::http;
use super::metrics::Metrics;
use super::patience::until;

/// A command line to be tried. It starts in a folder of its own, with nothing in its environment.
pub(crate) struct CommandLine {
    command: Command,
    folder: Folder,
    input: Option<Vec<u8>>,
}

/// The process of a [`CommandLine`]; killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: Output,
    stderr: Output,
    pub(crate) folder: Folder,
}

/// What a process that has ended leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) folder: Folder,
}

/// What comes through a pipe.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut part) {
                keep.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&part[..read]);
            }
        });
        Self { kept, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All of it, after the end of the process that held the other end.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

impl CommandLine {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tencent-live-exporter"));
        command.args(arguments);
        Self::of(command)
    }

    /// The binary through a shell that runs `preparation` before it.
    pub(crate) fn after(preparation: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("/bin/sh");
        let script = format!("{preparation}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_tencent-live-exporter")]).args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let folder = Folder::new();
        command.env_clear().current_dir(folder.path());
        Self { command, folder, input: None }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The same in another folder, which it takes over.
    pub(crate) fn inside(mut self, folder: Folder) -> Self {
        self.command.current_dir(folder.path());
        self.folder = folder;
        self
    }

    /// Writes a file for the process to find in its folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.join(name), text).unwrap();
        self
    }

    /// Keeps a file from everybody else.
    pub(crate) fn private(self, name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(self.folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// Makes a folder in the process's own.
    pub(crate) fn folder(self, name: &str) -> Self {
        std::fs::create_dir(self.folder.join(name)).unwrap();
        self
    }

    /// What comes in through its standard input.
    pub(crate) fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_vec());
        self
    }

    pub(crate) fn start(mut self) -> Process {
        self.command
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        if let Some((input, mut pipe)) = self.input.zip(child.stdin.take()) {
            // One that refuses its arguments reads nothing.
            drop(pipe.write_all(&input));
        }
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        Process { child, stdout, stderr, folder: self.folder }
    }

    /// Starts it and waits for its end.
    pub(crate) async fn run(self) -> Ended {
        self.start().ended().await
    }
}

impl Process {
    pub(crate) fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Where it listens, once its log says so.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let found = |log: &str| -> Option<SocketAddr> {
            let (_, rest) = log.split_once("listening")?;
            let rest = rest.trim_start_matches(['=', '"', ':']);
            rest[..rest.find([' ', '"', '\n', ','])?].parse().ok()
        };
        until("the log says where it listens", async || {
            let log = self.stderr();
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {log}");
            found(&log).ok_or(log)
        })
        .await
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success(), "{script}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the page is as `wanted`, and returns it.
    pub(crate) async fn metrics_when(&mut self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let address = self.address().await;
        until(what, async || {
            let page = http::get(address, "/metrics").await.map_err(|error| error.to_string())?;
            let metrics = Metrics::parse(&page.1);
            let log = self.stderr();
            if wanted(&metrics) { Ok(metrics) } else { Err(format!("{}\n{log}", page.1)) }
        })
        .await
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status: ExitStatus = until("the process ends", async || {
            self.child.try_wait().unwrap().ok_or_else(|| format!("{}\n{}", self.stdout(), self.stderr()))
        })
        .await;
        let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        Ended { code: status.code(), stdout, stderr, folder }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself needs no end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
