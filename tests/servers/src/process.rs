//! A server's process: killed, stopped, resumed, started again; it ends with the value that stands for it.
//! Must not know: which server it is.

use std::fs;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::guard::Guard;
use crate::launch::Launch;
use crate::wait::until;

/// A signal has done its work by then, also on a machine that is busy.
const SIGNAL_DEADLINE: Duration = Duration::from_secs(10);
/// Lines of the log that a failing test shows.
const SHOWN_LINES: usize = 40;

/// What becomes of the primary when another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldPrimary {
    /// It is killed (SIGKILL).
    Killed,
    /// It is stopped (SIGSTOP), and may be resumed later, when it still believes what it believed.
    Stopped,
    /// It runs on and serves its clients, but is cut off from its replicas: two primaries at once.
    Isolated,
}

/// A started server.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    launch: Launch,
    child: Option<Child>,
    is_stopped: bool,
    _guard: Guard,
    /// Whether the server starts processes of its own, which get each signal too.
    has_children: bool,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(name: impl Into<String>, launch: Launch, has_children: bool) -> Self {
        let guard = Guard::of(launch.home());
        let child = Some(launch.spawn());
        Self { name: name.into(), launch, child, is_stopped: false, _guard: guard, has_children }
    }

    /// Waits until `probe` answers something. Panics, and shows the log, if it does not `within` that time, or if the
    /// process ends before.
    pub(crate) async fn ready<Answer>(
        &mut self,
        within: Duration,
        mut probe: impl AsyncFnMut() -> Option<Answer>,
    ) -> Answer {
        let (name, log) = (self.name.clone(), self.launch.clone());
        let child = self.child.as_mut().unwrap_or_else(|| panic!("{name} is not running"));
        let look = async || match child.try_wait() {
            Ok(None) => probe().await.map(Ok),
            ended => Some(Err(ended)),
        };
        match until(within, look).await {
            Some(Ok(answer)) => answer,
            Some(Err(ended)) => panic!("{name} has ended: {ended:?}; its log:\n{}", log.last_lines(SHOWN_LINES)),
            None => panic!("{name} is not ready within {within:?}; its log:\n{}", log.last_lines(SHOWN_LINES)),
        }
    }

    /// The name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has been started and neither been killed nor ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether it is running, and not stopped.
    pub(crate) fn is_awake(&mut self) -> bool {
        !self.is_stopped && self.is_running()
    }

    /// The last lines of the log, for messages.
    pub(crate) fn last_lines(&self) -> String {
        self.launch.last_lines(SHOWN_LINES)
    }

    /// SIGKILL to all its processes, and waits until the last is gone. Nothing if it is gone already.
    pub(crate) async fn kill(&mut self) {
        let children = self.kill_now();
        let gone = async || children.iter().all(|&child| state_of(child, child).is_none_or(is_dead)).then_some(());
        let all_gone = until(SIGNAL_DEADLINE, gone).await;
        assert!(all_gone.is_some(), "processes of {} outlive SIGKILL: {children:?}", self.name);
    }

    /// SIGSTOP to all its processes, and waits until none runs.
    pub(crate) async fn stop(&mut self) {
        let main = self.main();
        self.is_stopped = true;
        signal(main, Signal::STOP);
        self.all_stopped(&[main]).await;
        // The main process starts no more of them now.
        let children = self.children();
        for &child in &children {
            signal(child, Signal::STOP);
        }
        self.all_stopped(&children).await;
    }

    /// SIGCONT to all its processes.
    pub(crate) fn resume(&mut self) {
        let main = self.main();
        for child in self.children() {
            signal(child, Signal::CONT);
        }
        signal(main, Signal::CONT);
        self.is_stopped = false;
    }

    /// Starts it again; it must have been killed, or have ended by itself.
    pub(crate) fn start_again(&mut self) {
        assert!(!self.is_running(), "{} is still running", self.name);
        self.child = Some(self.launch.spawn());
    }

    fn main(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} is not running", self.name));
        pid_of(child)
    }

    fn children(&self) -> Vec<Pid> {
        if self.has_children { children_of(self.main()) } else { Vec::new() }
    }

    async fn all_stopped(&self, processes: &[Pid]) {
        let look = async || processes.iter().all(|&process| is_stopped(process)).then_some(());
        assert!(until(SIGNAL_DEADLINE, look).await.is_some(), "{} does not stop", self.name);
    }

    /// Kills all processes and reaps the main one; answers the others, which may take a moment to go.
    pub(crate) fn kill_now(&mut self) -> Vec<Pid> {
        let Some(mut child) = self.child.take() else { return Vec::new() };
        let mut children = Vec::new();
        if self.has_children && matches!(child.try_wait(), Ok(None)) {
            let main = pid_of(&child);
            // A stopped process starts no others between the look and the kill.
            signal(main, Signal::STOP);
            for _ in 0..STOP_SPINS {
                if is_stopped(main) {
                    break;
                }
                std::thread::yield_now();
            }
            children = children_of(main);
        }
        // An error means that it has ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        for &other in &children {
            signal(other, Signal::KILL);
        }
        self.is_stopped = false;
        children
    }
}

/// Looks at a process that is about to stop before it is killed nevertheless: some tens of milliseconds.
const STOP_SPINS: usize = 10_000;

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_now();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}\n---", self.name, self.last_lines());
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A process that is gone already needs no signal.
fn signal(process: Pid, signal: Signal) {
    let _ = kill_process(process, signal);
}

/// The letter of a thread's state in `/proc`; `None` if it is gone.
fn state_of(process: Pid, thread: Pid) -> Option<char> {
    let (process, thread) = (process.as_raw_nonzero(), thread.as_raw_nonzero());
    let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    state_in(&stat)
}

/// The name before the state stands in parentheses and may hold anything.
fn state_in(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Dead, although perhaps nobody has asked for its status yet.
fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

/// Whether every thread is stopped, or gone.
fn is_stopped(process: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())) else { return true };
    let stats = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap_or_default());
    stats.into_iter().all(|stat| state_in(&stat).is_none_or(|state| state == 'T' || is_dead(state)))
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().to_string();
    let processes = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let is_child = |id: &str| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(parent.as_str())
    };
    let ids = processes.filter_map(|process| process.file_name().into_string().ok());
    let children = ids.filter(|id| id.starts_with(|first: char| first.is_ascii_digit()) && is_child(id));
    children.filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}
