//! One simulated host: its files in a scratch directory, its clock, its agent, its package database and its repository; and what befalls them.
//! It keeps to what real tools were seen to do (V1, V2, V8 to V11, V14), in the words that they were seen to say.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::history::{Death, Flaw};
use super::rules::{Allowed, Wrong};

/// Wed 2026-11-25 12:00 UTC.
pub(super) const NOON: i64 = 1_795_608_000;
pub(super) const BEFORE: &str = "16.1.7";
pub(super) const PACKAGE: &str = "teleport-ent";
const STATE: &str = "var/lib/teleport-upgrade";
const BINARY: &str = "usr/local/bin/teleport";

/// What ends a run without another word: as kill -9 does, nothing is written after it.
pub(super) struct Died;

/// How far the package manager got with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Whole,
    HalfInstalled,
    Unpacked,
    HalfConfigured,
}

impl Phase {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Whole => "ok installed",
            Self::HalfInstalled => "reinstreq half-installed",
            Self::Unpacked => "ok unpacked",
            Self::HalfConfigured => "ok half-configured",
        }
    }
}

/// A process of the agent.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) version: String,
    /// When it ends by itself, in milliseconds of the clock.
    dies: Option<i64>,
}

/// Everything that a history can change.
pub(super) struct Host {
    /// Milliseconds since 1970, as the host believes.
    pub(super) clock: i64,
    pub(super) up_since: i64,
    boots: u32,
    pub(super) version: String,
    pub(super) phase: Phase,
    pub(super) held: bool,
    pub(super) agent: Option<Process>,
    /// Whether somebody wants the agent to run.
    pub(super) enabled: bool,
    next_pid: u32,
    binaries: u32,
    pub(super) flaws: Vec<(&'static str, Flaw)>,
    pub(super) absent: Vec<&'static str>,
    pub(super) repository_down: bool,
    /// Until when somebody has apt's lock.
    pub(super) locked_until: i64,
    pub(super) server: Option<String>,
    pub(super) critical: bool,
    /// When our package manager, which outlived us, ends, and on which version.
    pub(super) orphan: Option<(i64, String)>,
    /// At which step of the run we die, and how.
    pub(super) death: Option<(u32, Death)>,
    pub(super) step: u32,
    /// What is allowed to be installed in this run, by rules of their own: see `rules.rs`.
    pub(super) allowed: Allowed,
    /// What a run that was allowed to has begun to install, and that is not settled.
    pub(super) begun: Option<String>,
    pub(super) violations: Vec<Wrong>,
    pub(super) installed: Vec<String>,
}

pub(super) struct Simulated {
    pub(super) root: PathBuf,
    pub(super) host: RefCell<Host>,
    pub(super) tells: Cell<bool>,
}

impl Simulated {
    pub(super) fn new(root: &Path) -> Self {
        let world = Self {
            root: root.to_owned(),
            host: RefCell::new(Host {
                clock: NOON * 1000,
                up_since: (NOON - 86_400) * 1000,
                boots: 0,
                version: BEFORE.into(),
                phase: Phase::Whole,
                held: false,
                agent: None,
                enabled: true,
                next_pid: 100,
                binaries: 0,
                flaws: Vec::new(),
                absent: Vec::new(),
                repository_down: false,
                locked_until: 0,
                server: Some(BEFORE.into()),
                critical: false,
                orphan: None,
                death: None,
                step: 0,
                allowed: Allowed::default(),
                begun: None,
                violations: Vec::new(),
                installed: vec![BEFORE.into()],
            }),
            tells: Cell::new(false),
        };
        for gone in [STATE, "etc/teleport-upgrade.d", "proc", "run", "usr", "bin"] {
            let _ = fs::remove_dir_all(root.join(gone));
        }
        let directories = ["etc/teleport-upgrade.d", "proc/sys/kernel/random", "run/systemd/system", "usr/local/bin"];
        for there in directories.into_iter().chain(["var/lib/dpkg", "bin"]) {
            fs::create_dir_all(root.join(there)).unwrap();
        }
        world.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        world.boot();
        world.put_binary(BEFORE);
        world.database();
        world.start_agent();
        world
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub(super) fn configure(&self, file: &str, text: &str) {
        self.write(&format!("etc/teleport-upgrade.d/{file}"), text);
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells.get() {
            eprintln!("      {}", what());
        }
    }

    /// One step of a run from outside: here it may die.
    pub(super) fn step(&self, what: &str) {
        let mut host = self.host.borrow_mut();
        host.step += 1;
        let Some((_, death)) = host.death.filter(|(at, _)| *at == host.step) else { return };
        host.death = None;
        drop(host);
        self.tell(|| format!("dies at {what}: {death:?}"));
        self.die(death);
    }

    fn die(&self, death: Death) -> ! {
        if death == Death::PowerCut {
            self.power_cut();
        }
        std::panic::resume_unwind(Box::new(Died));
    }

    /// Whether this run dies in the next step but one of the package manager's: between its phases.
    pub(super) fn dies_within(&self, steps: u32) -> Option<(u32, Death)> {
        let host = self.host.borrow();
        host.death.filter(|(at, _)| *at > host.step && *at <= host.step + steps).map(|(at, death)| (at - host.step, death))
    }

    pub(super) fn forget_death(&self) {
        self.host.borrow_mut().death = None;
    }

    // --- time ----------------------------------------------------------------------------------------

    pub(super) fn now(&self) -> i64 {
        self.host.borrow().clock
    }

    /// Time passes: agents die, orphans end.
    pub(super) fn pass(&self, milliseconds: i64) {
        let then = self.now() + milliseconds;
        self.host.borrow_mut().clock = then;
        let ends = self.host.borrow().orphan.clone().filter(|(at, _)| *at <= then);
        if let Some((_, version)) = ends {
            self.tell(|| format!("the orphan ends: {version} is in place"));
            self.host.borrow_mut().orphan = None;
            let _ = fs::remove_dir_all(self.path("proc/9000"));
            self.finish_install(&version);
        }
        let dies = self.host.borrow().agent.as_ref().and_then(|agent| agent.dies).is_some_and(|at| at <= then);
        if dies {
            self.tell(|| "the agent ends by itself".into());
            self.stop_agent();
        }
    }

    /// What lies ahead lies as far ahead as before.
    pub(super) fn clock_was_set(&self, by: i64) {
        let mut host = self.host.borrow_mut();
        if let Some((at, _)) = &mut host.orphan {
            *at += by;
        }
        if let Some(dies) = host.agent.as_mut().and_then(|agent| agent.dies.as_mut()) {
            *dies += by;
        }
    }

    // --- the agent -----------------------------------------------------------------------------------

    pub(super) fn flaw(&self, version: &str) -> Flaw {
        self.host.borrow().flaws.iter().find(|(of, _)| *of == version).map_or(Flaw::None, |(_, flaw)| *flaw)
    }

    /// Whether nobody has met that version yet.
    pub(super) fn flaw_is_open(&self, version: &str) -> bool {
        let host = self.host.borrow();
        host.flaws.iter().all(|(of, _)| *of != version) && !host.installed.iter().any(|installed| installed == version)
    }

    /// What the binary in place says it is; nothing, if it is damaged or gone.
    pub(super) fn binary(&self) -> Option<String> {
        fs::read_to_string(self.path(BINARY)).ok().filter(|version| !version.is_empty())
    }

    /// Puts a binary in place as dpkg does: a new file under the name; processes go on in the old one.
    fn put_binary(&self, version: &str) {
        let number = {
            let mut host = self.host.borrow_mut();
            host.binaries += 1;
            host.binaries
        };
        let (binary, kept) = (self.path(BINARY), self.path(&format!("bin/{number}")));
        if binary.exists() {
            fs::rename(&binary, &kept).unwrap();
            if let Some(agent) = &self.host.borrow().agent {
                let exe = self.path(&format!("proc/{}/exe", agent.pid));
                if fs::read_link(&exe).is_ok_and(|to| to == binary) {
                    fs::remove_file(&exe).unwrap();
                    symlink(&kept, exe).unwrap();
                }
            }
        }
        fs::write(&binary, version).unwrap();
    }

    /// The agent starts, if its program can.
    pub(super) fn start_agent(&self) {
        let Some(version) = self.binary() else { return };
        let pid = {
            let mut host = self.host.borrow_mut();
            host.next_pid += 1;
            host.next_pid
        };
        let dies = match self.flaw(&version) {
            Flaw::Crashes(seconds) => Some(self.now() + i64::from(seconds) * 1000),
            _ => None,
        };
        let proc = self.path(&format!("proc/{pid}"));
        fs::create_dir(&proc).unwrap();
        let started = (self.now() - self.host.borrow().up_since) / 10;
        fs::write(proc.join("stat"), format!("{pid} (teleport) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {started} 0\n")).unwrap();
        fs::write(proc.join("cgroup"), "0::/system.slice/teleport.service\n").unwrap();
        fs::write(proc.join("environ"), "TELEPORT_EXT_UPGRADER=unit\0").unwrap();
        symlink(self.path(BINARY), proc.join("exe")).unwrap();
        self.write("run/teleport.pid", &format!("{pid}\n"));
        self.host.borrow_mut().agent = Some(Process { pid, version, dies });
    }

    pub(super) fn stop_agent(&self) {
        if let Some(agent) = self.host.borrow_mut().agent.take() {
            let _ = fs::remove_dir_all(self.path(&format!("proc/{}", agent.pid)));
        }
        let _ = fs::remove_file(self.path("run/teleport.pid"));
    }

    /// A successor takes charge; the old process drains and is of no more interest.
    pub(super) fn reload_agent(&self) {
        let before = self.host.borrow().agent.clone();
        if before.is_none() {
            return;
        }
        self.host.borrow_mut().agent = None;
        self.start_agent();
        if self.host.borrow().agent.is_none() {
            self.host.borrow_mut().agent = before;
        } else if let Some(before) = before {
            let _ = fs::remove_dir_all(self.path(&format!("proc/{}", before.pid)));
        }
    }

    // --- the machine ---------------------------------------------------------------------------------

    fn boot(&self) {
        let boots = {
            let mut host = self.host.borrow_mut();
            host.boots += 1;
            host.up_since = host.clock;
            host.boots
        };
        self.write("proc/sys/kernel/random/boot_id", &format!("boot-{boots}\n"));
    }

    /// Nothing goes on, and what is started at boot is.
    pub(super) fn power_cut(&self) {
        self.stop_agent();
        {
            let mut host = self.host.borrow_mut();
            host.orphan = None;
            host.locked_until = 0;
        }
        let _ = fs::remove_dir_all(self.path("proc/9000"));
        self.pass(60_000);
        self.boot();
        if self.host.borrow().enabled {
            self.start_agent();
        }
    }

    // --- the package manager -------------------------------------------------------------------------

    /// The files whose times tell a run that somebody has changed the package database.
    pub(super) fn database(&self) {
        let host = self.host.borrow();
        let text = format!("{} {} {} {}\n", host.held, host.version, host.phase.words(), host.clock);
        drop(host);
        self.write("var/lib/dpkg/status", &text);
    }

    pub(super) fn set(&self, version: &str, phase: Phase) {
        {
            let mut host = self.host.borrow_mut();
            host.version = version.to_owned();
            host.phase = phase;
        }
        self.database();
    }

    pub(super) fn half_install(&self) {
        let version = self.host.borrow().version.clone();
        self.put_binary("");
        self.set(&version, Phase::HalfInstalled);
    }

    /// From unpacking on nobody holds it any more (V14).
    pub(super) fn unpack(&self, version: &str) {
        self.put_binary(version);
        self.host.borrow_mut().held = false;
        self.set(version, Phase::Unpacked);
    }

    /// Whether its script lets it.
    pub(super) fn configure_package(&self) -> bool {
        let version = self.host.borrow().version.clone();
        let fails = self.flaw(&version) == Flaw::ScriptFails;
        self.set(&version, if fails { Phase::HalfConfigured } else { Phase::Whole });
        !fails
    }

    pub(super) fn finish_install(&self, version: &str) {
        self.unpack(version);
        self.configure_package();
    }

    /// Our package manager goes on without us, for a while.
    pub(super) fn leave_orphan(&self, version: &str) {
        let at = self.now() + 90_000;
        self.host.borrow_mut().orphan = Some((at, version.to_owned()));
        fs::create_dir_all(self.path("proc/9000/fd")).unwrap();
        self.write("proc/9000/cmdline", "/usr/bin/apt-get\0install");
        symlink(self.path(&format!("{STATE}/private/packages.log")), self.path("proc/9000/fd/1")).unwrap();
    }

    /// What is on disk of the last run.
    pub(super) fn record(&self) -> Result<serde_json::Value, String> {
        match fs::read(self.path(&format!("{STATE}/record.json"))) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(serde_json::Value::Null),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        }
    }
}
