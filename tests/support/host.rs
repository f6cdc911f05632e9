//! A host in a scratch directory: an agent 16.1.7 from a package, run by systemd; a version server that offers 16.2.0; a window that is
//! open; noon. The programs are the stand-ins in `tests/programs/stand-in`, the clock moves when somebody pauses.
//!
//! A test changes what its story needs, lets it run, and compares what was said, what was run and what lies on disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking; a scratch host is set up by a program"
)]

mod ran;

use std::cell::{Cell, RefCell};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use teleport_upgrade::error::Error;
use teleport_upgrade::host::machine::{Attendance, Colours, Machine};
use teleport_upgrade::host::signals::Orders;
use teleport_upgrade::log::{Log, Priorities, Volume};
use teleport_upgrade::rules::facts::Mandate;
use teleport_upgrade::rules::local::Zone;
use teleport_upgrade::rules::moment::Moment;
use teleport_upgrade::rules::pause::LetsThrough;
use teleport_upgrade::rules::policy::Package;
use teleport_upgrade::upgrade::install::{Wanted, install};
use teleport_upgrade::upgrade::pause::{self, End, Wish};
use teleport_upgrade::upgrade::setup::{release, setup};
use teleport_upgrade::upgrade::status::{self, Ask};
use teleport_upgrade::upgrade::{dry_run, rollback, run};
use time::UtcOffset;

pub(crate) use self::ran::Ran;
use self::ran::{changes, words_that_matter};
use crate::support::server::{Server, status};

/// Wed 2026-11-25 12:00 UTC, two and a half days after this program was built.
pub(crate) const NOON: i64 = 1_795_608_000;
pub(crate) const HOUR: i64 = 3600;
/// When the host was booted: three days before noon.
const UP_SINCE: i64 = NOON - 72 * HOUR;
const STATE: &str = "var/lib/teleport-upgrade";
const CONFIG: &str = "etc/teleport-upgrade.d";
/// Pauses shorter than this wait for a child process: they are real, and no time passes on the host's clock.
const REAL: Duration = Duration::from_millis(100);
static HOSTS: AtomicUsize = AtomicUsize::new(0);

type Later = Rc<RefCell<Vec<(i64, Box<dyn FnOnce()>)>>>;

/// What the version server answers.
struct Offer {
    version: String,
    critical: String,
    /// The answer to `schedule`, where it is one that answers that.
    schedule: Option<String>,
}

pub(crate) struct Host {
    base: PathBuf,
    pub server: Server,
    offer: Arc<Mutex<Offer>>,
    /// Milliseconds since 1970.
    clock: Rc<Cell<i64>>,
    later: Later,
    /// Orders to end that the next run is given.
    pub orders: Orders,
    pub volume: Volume,
    pub user: u32,
    pub superuser: u32,
    pub attendance: Attendance,
}

impl Host {
    pub(crate) fn new() -> Self {
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("host-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(&base).unwrap();
        let base = base.canonicalize().unwrap();
        let offer = Arc::new(Mutex::new(Offer { version: "16.2.0".into(), critical: "no".into(), schedule: None }));
        let answers = Arc::clone(&offer);
        let server = Server::plain(move |mut peer| {
            while let Some(request) = peer.request() {
                let offer = answers.lock().unwrap();
                let (is_critical, is_schedule) = (request.contains("/critical "), request.contains("/schedule "));
                match &offer.schedule {
                    Some(windows) if is_schedule => peer.answer(windows),
                    None if is_schedule => peer.send(status("404 Not Found")),
                    _ => peer.answer(if is_critical { &offer.critical } else { &offer.version }),
                };
            }
        });
        let user = fs::metadata(&base).unwrap().uid();
        let clock = Rc::new(Cell::new(NOON * 1000));
        let host = Self {
            base,
            server,
            offer,
            clock,
            later: Rc::default(),
            orders: Orders::default(),
            volume: Volume::Normal,
            user,
            superuser: user,
            attendance: Attendance::Timer,
        };
        host.furnish();
        host
    }

    fn furnish(&self) {
        for directory in ["programs", "state"] {
            fs::create_dir(self.base.join(directory)).unwrap();
        }
        let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/stand-in");
        for program in fs::read_dir(stand_in).unwrap().map(|entry| entry.unwrap()) {
            symlink(program.path(), self.base.join("programs").join(program.file_name())).unwrap();
        }
        for directory in
            ["run/systemd/system", "usr/local/bin", "var/lib/apt/lists", "proc/sys/kernel/random", "proc/100", CONFIG]
        {
            make(&self.root(directory));
        }
        self.write("etc/apt/sources.list.d/teleport.list", "deb http://repository.test stable main\n");
        self.write("proc/sys/kernel/random/boot_id", "boot-1\n");
        self.write("proc/100/stat", "100 (teleport) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0\n");
        self.write("proc/100/cgroup", "0::/system.slice/teleport.service\n");
        self.write("run/teleport.pid", "100\n");
        self.state("unit", "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=100\nPIDFile=/run/teleport.pid\nCanReload=yes\nControlGroup=/system.slice/teleport.service\nResult=success\n");
        self.state("package", "teleport-ent\n");
        self.state("repository", "16.2.1 500\n16.2.0 500\n16.1.7 500\n");
        self.unpack("16.1.7");
        symlink(self.root("usr/local/bin/teleport"), self.root("proc/100/exe")).unwrap();
        self.configure("endpoint", &format!("127.0.0.1:{}/v1", self.server.port));
        self.configure("insecure", "yes");
        // Whoever wants a proof asks for one.
        self.configure("verify-seconds", "0");
        self.modified("var/lib/apt/lists", NOON - 2 * HOUR);
        self.window(NOON, NOON + HOUR);
    }

    /// A path on the host.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.base.join("root").join(path)
    }

    /// Writes a file on the host.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root(path);
        make(path.parent().unwrap());
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }

    /// What the stand-ins know.
    pub(crate) fn state(&self, name: &str, text: &str) {
        fs::write(self.base.join("state").join(name), text).unwrap();
    }

    pub(crate) fn known(&self, name: &str) -> String {
        fs::read_to_string(self.base.join("state").join(name)).unwrap()
    }

    /// Lays out trouble: shell lines that the stand-in runs before its own work. They may `exit`.
    pub(crate) fn trouble(&self, program: &str, lines: &str) {
        self.state(&format!("on-{program}"), lines);
    }

    pub(crate) fn no_trouble(&self, program: &str) {
        fs::remove_file(self.path_of_trouble(program)).unwrap();
    }

    pub(crate) fn path_of_trouble(&self, program: &str) -> PathBuf {
        self.base.join("state").join(format!("on-{program}"))
    }

    /// Puts an agent of that version in place behind the program's back, package database included.
    pub(crate) fn unpack(&self, version: &str) {
        assert!(Command::new(self.program("unpack")).arg(version).status().unwrap().success());
        fs::remove_file(self.base.join("transcript")).unwrap();
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.base.join("programs").join(name)
    }

    /// What the host calls the user of the tests: nobody has logged in there.
    pub(crate) fn name_of_the_user(&self) -> String {
        format!("user {}", self.user)
    }

    /// The processes of the machine that runs the tests, on a host without systemd.
    pub(crate) fn real_processes(&self) {
        fs::remove_dir(self.root("run/systemd/system")).unwrap();
        fs::remove_dir_all(self.root("proc")).unwrap();
        symlink("/proc", self.root("proc")).unwrap();
    }

    pub(crate) fn configure(&self, file: &str, text: &str) {
        self.write(&format!("{CONFIG}/{file}"), text);
    }

    pub(crate) fn unconfigure(&self, file: &str) {
        fs::remove_file(self.root(CONFIG).join(file)).unwrap();
    }

    /// The one window in the schedule, which the agent wrote an hour ago.
    pub(crate) fn window(&self, start: i64, stop: i64) {
        self.configure("schedule", &format!("# generated by teleport\n{start} {stop}\n"));
        self.modified(&format!("{CONFIG}/schedule"), self.now() - HOUR);
    }

    fn modified(&self, path: &str, moment: i64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(moment.unsigned_abs());
        fs::File::open(self.root(path)).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn no_window(&self) {
        self.unconfigure("schedule");
    }

    pub(crate) fn offers(&self, version: &str) {
        self.offer.lock().unwrap().version = version.into();
    }

    pub(crate) fn critical(&self, answer: &str) {
        self.offer.lock().unwrap().critical = answer.into();
    }

    /// The server names a window.
    pub(crate) fn serves_window(&self, start: i64, stop: i64) {
        self.offer.lock().unwrap().schedule = Some(format!("# generated by teleport-version-server\n{start} {stop}\n"));
    }

    /// It answers `schedule` so, or not at all.
    pub(crate) fn serves(&self, schedule: Option<&str>) {
        self.offer.lock().unwrap().schedule = schedule.map(str::to_owned);
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.get().div_euclid(1000)
    }

    pub(crate) fn at(&self, moment: i64) {
        self.clock.set(moment * 1000);
    }

    /// Lets something happen once the clock has moved that far.
    pub(crate) fn later(&self, seconds: i64, happen: impl FnOnce() + 'static) {
        self.later.borrow_mut().push((self.clock.get() + seconds * 1000, Box::new(happen)));
    }

    /// A process on the host, with the start time of its agent.
    pub(crate) fn process(&self, pid: u32, command: &str) {
        self.write(&format!("proc/{pid}/cmdline"), &command.replace(' ', "\0"));
        self.write(&format!("proc/{pid}/stat"), &format!("{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0\n"));
    }

    /// A process whose output is the log that package managers write into.
    pub(crate) fn writes_into_the_log(&self, pid: u32, command: &str) {
        const LOG: &str = "var/lib/teleport-upgrade/private/packages.log";
        self.process(pid, command);
        self.write(LOG, "");
        fs::create_dir(self.root(&format!("proc/{pid}/fd"))).unwrap();
        symlink(self.root(LOG), self.root(&format!("proc/{pid}/fd/1"))).unwrap();
    }

    /// A POSIX lock as apt takes it, on a file of the host, by a process of its own that holds it until its stdin ends.
    pub(crate) fn lock_in_another_process(&self, path: &str, command: &str) -> Child {
        // `struct flock` of 64-bit Linux: type, whence, start, length, pid.
        const HOLD: &str = r#"open(my $file, "+<", $ARGV[0]) or die $!; my $lock = pack("s s x4 q q i x4", F_WRLCK, SEEK_SET, 0, 0, 0); fcntl($file, F_SETLK, $lock) or die $!; $| = 1; print "held\n"; <STDIN>"#;
        self.write(path, "");
        let mut perl = Command::new("perl");
        perl.args(["-MFcntl=:DEFAULT,:seek", "-e", HOLD]).arg(self.root(path));
        let mut holder = perl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        self.process(holder.id(), command);
        holder
    }

    /// The record as it is on disk; keys of each object in the order of the alphabet.
    pub(crate) fn recorded(&self, pointer: &str) -> String {
        Self::part(&fs::read(self.root(STATE).join("record.json")).unwrap(), pointer)
    }

    /// The record as it was when `apt-get install` was called.
    pub(crate) fn recorded_at_install(&self, pointer: &str) -> String {
        Self::part(self.known("record-at-install").as_bytes(), pointer)
    }

    fn part(json: &[u8], pointer: &str) -> String {
        let value: serde_json::Value = serde_json::from_slice(json).unwrap();
        value.pointer(pointer).expect("there is such a part of the record").to_string()
    }

    /// Codes and counts of the verdicts on disk.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let verdicts: serde_json::Value = serde_json::from_str(&self.recorded("/verdicts")).unwrap();
        let said = |v: &serde_json::Value| format!("{} {} x{}", v["code"].as_str().unwrap(), v["exit"], v["count"]);
        verdicts.as_array().unwrap().iter().map(said).collect()
    }

    /// Writes a record with these members.
    pub(crate) fn record(&self, members: &str) {
        self.write(&format!("{STATE}/record.json"), &format!("{{\"schema\":1,{members}}}"));
    }

    /// Every file and directory of the host: path, mode, size, change and modification time.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.base.join("root"), &mut found);
        found.sort();
        found
    }

    pub(crate) fn machine(&self, page: &Rc<RefCell<Vec<u8>>>, pauses: &Rc<RefCell<Vec<f64>>>) -> Machine {
        let (clock, ticking, later, pauses) =
            (Rc::clone(&self.clock), Rc::clone(&self.clock), Rc::clone(&self.later), Rc::clone(pauses));
        Machine {
            root: self.base.join("root"),
            programs: vec![self.base.join("programs")],
            myself: self.base.join("programs/teleport-upgrade"),
            superuser: self.superuser,
            user: self.user,
            environment: [].into(),
            clock: Box::new(move || Moment::from_unix(clock.get().div_euclid(1000))),
            wait: Box::new(move |time| {
                if time < REAL {
                    return std::thread::sleep(time.min(Duration::from_millis(1)));
                }
                pauses.borrow_mut().push(time.as_secs_f64());
                ticking.set(ticking.get() + i64::try_from(time.as_millis()).unwrap());
                let (due, rest) = later.take().into_iter().partition(|(at, _)| *at <= ticking.get());
                later.replace(rest);
                let due: Vec<(i64, Box<dyn FnOnce()>)> = due;
                due.into_iter().for_each(|(_, happen)| happen());
            }),
            hang_up: {
                let program = self.program("hang-up");
                Box::new(move |pid| drop(Command::new(&program).arg(pid.to_string()).status()))
            },
            orders: self.orders.clone(),
            zone: Box::new(|_| Some(Zone::new(UtcOffset::from_hms(9, 0, 0).ok()?, "KST-9"))),
            uptime: {
                let clock = Rc::clone(&self.clock);
                Box::new(move || Duration::from_millis((clock.get() - UP_SINCE * 1000).unsigned_abs()))
            },
            attendance: self.attendance,
            world: None,
            log: Log::new(Box::new(Page(Rc::clone(page))), self.volume, Priorities::Plain),
        }
    }

    pub(crate) fn run(&self) -> Ran {
        self.act(|machine, config| run(machine, config, Mandate::Policy).map(|outcome| outcome.exit() as u8))
    }

    pub(crate) fn force(&self) -> Ran {
        self.act(|machine, config| run(machine, config, Mandate::Force).map(|outcome| outcome.exit() as u8))
    }

    pub(crate) fn rollback(&self) -> Ran {
        self.act(|machine, config| rollback(machine, config).map(|outcome| outcome.exit() as u8))
    }

    /// The packages that are kept for the way back: no more than the record knows of.
    pub(crate) fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root(STATE).join("private/packages")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let recorded = self.recorded("/kept");
        assert!(
            names.iter().all(|name| recorded.contains(name)) && recorded.matches("sha256").count() == names.len(),
            "{recorded}"
        );
        names
    }

    pub(crate) fn dry_run(&self) -> Ran {
        self.act(|machine, config| dry_run(machine, config).map(|()| 0))
    }

    pub(crate) fn pause(&self, end: End, reason: Option<&str>, lets_through: LetsThrough) -> Ran {
        let wish = Wish { end, reason: reason.map(str::to_owned), lets_through };
        self.act(|machine, _| pause::pause(machine, &wish).map(|()| 0))
    }

    pub(crate) fn resume(&self) -> Ran {
        self.act(|machine, _| pause::resume(machine).map(|()| 0))
    }

    /// The screen of `status` and its exit code.
    pub(crate) fn status(&self, ask: Ask) -> (u8, String) {
        let (mut screen, mut code) = (String::new(), 0);
        let ran = self.act(|machine, config| {
            let report = status::status(machine, config, ask);
            screen = status::screen::of(&report, &*machine.zone, Colours::None);
            code = report.condition().exit();
            Ok(0)
        });
        assert_eq!(ran.said, "", "a page is no log");
        (code, self.plain(&screen))
    }

    pub(crate) fn install(&self, wanted: &Wanted) -> Ran {
        self.act(|machine, config| install(machine, config, wanted).map(|outcome| outcome.exit() as u8))
    }

    pub(crate) fn setup(&self) -> Ran {
        self.act(|machine, config| setup(machine, config).map(|()| 0))
    }

    pub(crate) fn release(&self, package: Option<&str>) -> Ran {
        let package: Option<Package> = package.map(|name| name.parse().unwrap());
        self.act(|machine, config| release(machine, config, package).map(|()| 0))
    }

    fn act(&self, act: impl FnOnce(&Machine, &Path) -> Result<u8, Error>) -> Ran {
        let (page, pauses) = (Rc::default(), Rc::default());
        let machine = self.machine(&page, &pauses);
        let _ = fs::remove_file(self.base.join("transcript"));
        // As the command line does.
        let exit = act(&machine, &self.root(CONFIG)).unwrap_or_else(|error| {
            machine.log.warning(error.to_string());
            error.class.exit() as u8
        });
        self.wait_for_the_lock();
        let transcript = fs::read_to_string(self.base.join("transcript")).unwrap_or_default();
        let started: Vec<String> = transcript
            .lines()
            .filter(|line| !line.starts_with("unpack "))
            .map(|line| words_that_matter(&self.plain(line)))
            .collect();
        let changed = started.iter().filter(|line| changes(line)).cloned().collect();
        let said = self.plain(&String::from_utf8(page.take()).unwrap());
        Ran { exit, said, started, changed, pauses: pauses.take() }
    }

    /// Other tests of this process start programs, too: between fork and exec their children hold what this thread held, the lock of the run
    /// that has just ended among it. A lock that a test itself holds is not waited for long.
    pub(crate) fn wait_for_the_lock(&self) {
        let Ok(lock) = fs::File::open(self.root(STATE).join("private/lock")) else { return };
        for _ in 0..100 {
            if lock.try_lock().is_ok() {
                return lock.unlock().unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every argument vector of the run before, to the letter.
    pub(crate) fn transcript(&self) -> String {
        self.plain(&fs::read_to_string(self.base.join("transcript")).unwrap())
    }

    fn plain(&self, text: &str) -> String {
        let port = format!(":{}", self.server.port);
        text.replace(&self.base.join("root").display().to_string(), "").replace(&port, ":PORT")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes a directory that nobody else can write, whatever the umask.
fn make(directory: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).unwrap();
}

fn list(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let (path, m) = (entry.path(), entry.metadata().unwrap());
        found.push(format!("{} {:o} {} {}.{}", path.display(), m.mode(), m.size(), m.mtime(), m.mtime_nsec()));
        if m.is_dir() {
            list(&path, found);
        }
    }
}
