//! The programs of the simulated host, in the words that real ones were seen to say (tests/captured).

use std::fs;
use std::io::Write;
use std::path::Path;

use teleport_upgrade::host::command::{Answer, Argv};
use teleport_upgrade::host::world::World;

use super::history::{Death, Flaw};
use super::rules::{Rule, Wrong};
use super::world::{Host, PACKAGE, Phase, Simulated};

fn good(stdout: impl Into<String>) -> Answer {
    Answer { success: true, ending: "exit code 0".into(), stdout: stdout.into(), stderr: String::new() }
}

fn bad(code: u8, stderr: impl Into<String>) -> Answer {
    Answer { success: false, ending: format!("exit code {code}"), stdout: String::new(), stderr: stderr.into() }
}

const LOCKED: &str = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 153 (dpkg)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n";

impl World for Simulated {
    fn serve(&self, question: &str) -> Result<Vec<u8>, String> {
        self.step(question);
        let host = self.host.borrow();
        let version = host.server.clone().ok_or("connection refused")?;
        Ok(if question == "critical" { if host.critical { "yes" } else { "no" }.into() } else { version.into_bytes() })
    }

    fn ask(&self, argv: &Argv) -> Answer {
        self.step(&argv.to_string());
        let words: Vec<&str> = argv.words.iter().map(String::as_str).collect();
        match argv.program.as_str() {
            "dpkg-query" => self.dpkg_query(&words),
            "dpkg" => good(if self.is_damaged() { "??5??????   /usr/local/bin/teleport\n" } else { "" }),
            "apt-cache" => self.apt_cache(&words),
            "apt-get" => self.simulated(words.last().copied().unwrap_or_default()),
            "apt-mark" => self.mark(&words),
            "systemctl" => self.systemctl(&words),
            program if program.ends_with("/teleport") => {
                self.binary().map_or_else(|| bad(1, "Exec format error"), |version| good(version + "\n"))
            }
            other => panic!("nobody asks {other}"),
        }
    }

    fn change(&self, argv: &Argv, log: &mut dyn Write) -> Answer {
        self.step(&argv.to_string());
        let words: Vec<&str> = argv.words.iter().map(String::as_str).collect();
        let answer = match argv.program.as_str() {
            "apt-mark" => self.mark(&words),
            "dpkg" if words.contains(&"--configure") => self.dpkg_configure(),
            "dpkg" => self.install(words.last().copied().unwrap_or_default()),
            _ if self.is_locked() => bad(100, LOCKED),
            "apt-get" if words.contains(&"update") => self.update(),
            "apt-get" if words.contains(&"-d") => self.download(&words),
            "apt-get" => self.apt_install(&words),
            other => panic!("nobody lets {other} change anything"),
        };
        let _ = write!(log, "{}{}", answer.stdout, answer.stderr);
        answer
    }
}

impl Simulated {
    pub(super) fn is_locked(&self) -> bool {
        let host = self.host.borrow();
        host.clock < host.locked_until || host.orphan.is_some()
    }

    fn is_damaged(&self) -> bool {
        self.binary().is_none()
    }

    fn dpkg_query(&self, words: &[&str]) -> Answer {
        match words.first() {
            Some(&"--control-show") => good(""),
            Some(&"-L") => good("/.\n/usr/local/bin\n/usr/local/bin/teleport\n"),
            _ => {
                let host = self.host.borrow();
                let want = if host.held { "hold" } else { "install" };
                let line = format!("{PACKAGE} {want} {} {}\n", host.phase.words(), host.version);
                let missing = words.iter().skip(3).filter(|name| **name != PACKAGE);
                let missing: String = missing.map(|name| format!("dpkg-query: no packages found matching {name}\n")).collect();
                Answer { success: missing.is_empty(), stdout: line, ..bad(1, missing) }
            }
        }
    }

    fn repository(&self) -> Vec<&'static str> {
        let host = self.host.borrow();
        super::history::VERSIONS.into_iter().filter(|version| !host.absent.contains(version)).collect()
    }

    fn apt_cache(&self, words: &[&str]) -> Answer {
        if words.contains(&"show") {
            return good("Size: 1000\nInstalled-Size: 3\n");
        }
        let versions = self.repository().into_iter();
        let rows = versions
            .map(|version| format!("     {version} 500\n        500 http://repository.test stable/main amd64 Packages\n"));
        good(format!("{PACKAGE}:\n  Version table:\n{}", rows.collect::<String>()))
    }

    /// `apt-get -s install NAME=VERSION`.
    fn simulated(&self, word: &str) -> Answer {
        let version = word.split_once('=').map_or("", |(_, version)| version);
        if !self.repository().contains(&version) {
            return bad(100, format!("E: Version '{version}' for '{PACKAGE}' was not found\n"));
        }
        good(format!("Inst {PACKAGE} [{}] ({version} stable [amd64])\n", self.host.borrow().version))
    }

    fn mark(&self, words: &[&str]) -> Answer {
        if self.is_locked() {
            return bad(100, LOCKED);
        }
        let hold = words.contains(&"hold");
        self.host.borrow_mut().held = hold;
        self.database();
        good(format!("{PACKAGE} set on hold.\n"))
    }

    fn update(&self) -> Answer {
        self.pass(2000);
        if self.host.borrow().repository_down {
            return bad(
                100,
                "E: Failed to fetch http://repository.test/InRelease  Could not connect to repository.test:443 (127.0.0.1). - connect (111: Connection refused)\n",
            );
        }
        good("Hit:1 http://repository.test stable InRelease\n")
    }

    fn archive(&self, words: &[&str], version: &str) {
        let directory = words.iter().find_map(|word| word.strip_prefix("Dir::Cache::archives=")).unwrap();
        fs::write(Path::new(directory).join(format!("{PACKAGE}_{version}_amd64.deb")), format!("the package of {version}"))
            .unwrap();
    }

    fn download(&self, words: &[&str]) -> Answer {
        let version = words.last().and_then(|word| word.split_once('=')).map_or("", |(_, version)| version);
        if self.host.borrow().repository_down || !self.repository().contains(&version) {
            return bad(
                100,
                "E: Failed to fetch http://repository.test/pool  Could not connect to repository.test:443 (127.0.0.1). - connect (111: Connection refused)\n",
            );
        }
        self.pass(3000);
        self.archive(words, version);
        good("")
    }

    fn apt_install(&self, words: &[&str]) -> Answer {
        let word = words.last().copied().unwrap_or_default();
        if let Some((_, version)) = word.split_once('=') {
            if self.host.borrow().repository_down || !self.repository().contains(&version) {
                return bad(
                    100,
                    "E: Failed to fetch http://repository.test/pool  Could not connect to repository.test:443 (127.0.0.1). - connect (111: Connection refused)\n",
                );
            }
            self.archive(words, version);
        }
        self.install(word)
    }

    /// Installs `NAME=VERSION`, or a file by its path; in steps, between which we may die, alone or with it.
    fn install(&self, word: &str) -> Answer {
        let version = match word.split_once('=') {
            Some((_, version)) => version.to_owned(),
            None => word.rsplit('/').next().unwrap_or_default().split('_').nth(1).unwrap_or_default().to_owned(),
        };
        self.tell(|| format!("installs {version}"));
        {
            let mut host = self.host.borrow_mut();
            host.installed.push(version.clone());
            if host.orphan.is_some() {
                let what = format!("{version} is installed while another package manager is at work");
                host.violations.push(Wrong::new(Rule::NeverTwoInstallsAtOnce, what));
            }
            let Host { allowed, begun, version: now, phase, violations, .. } = &mut *host;
            violations.extend(allowed.judge(&version, (now, *phase), begun));
        }
        if self.flaw(&version) == Flaw::StopsAgent {
            self.stop_agent();
            return bad(
                1,
                format!(
                    "dpkg: error processing archive /x/{PACKAGE}_{version}_amd64.deb (--unpack):\n new {PACKAGE} package pre-installation script subprocess returned error exit status 1\n"
                ),
            );
        }
        let death = self.dies_within(4);
        if let Some((_, Death::Alone)) = death {
            self.leave_orphan(&version);
            self.forget_death();
            std::panic::resume_unwind(Box::new(super::world::Died));
        }
        self.step("its package manager, before it unpacks");
        self.half_install();
        self.pass(1000);
        self.step("its package manager, while it unpacks");
        self.unpack(&version);
        self.pass(1000);
        self.step("its package manager, before it configures");
        let configured = self.configure_package();
        self.pass(1000);
        self.step("its package manager, when it is done");
        if configured {
            return good(format!("Setting up {PACKAGE} ({version}) ...\n"));
        }
        bad(
            100,
            format!(
                "dpkg: error processing package {PACKAGE} (--configure):\n installed {PACKAGE} package post-installation script subprocess returned error exit status 3\nErrors were encountered while processing:\n {PACKAGE}\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n"
            ),
        )
    }

    fn dpkg_configure(&self) -> Answer {
        let phase = self.host.borrow().phase;
        match phase {
            Phase::Unpacked | Phase::HalfConfigured if self.configure_package() => good("Setting up\n"),
            Phase::Whole => good(""),
            _ => bad(
                1,
                format!(
                    "dpkg: error processing package {PACKAGE} (--configure):\n package is in a very bad inconsistent state; you should\n reinstall it before attempting configuration\n"
                ),
            ),
        }
    }

    fn systemctl(&self, words: &[&str]) -> Answer {
        match words.first() {
            Some(&"is-system-running") => good("running\n"),
            Some(&"reload") => {
                self.reload_agent();
                good("")
            }
            Some(&"restart") => {
                self.stop_agent();
                self.pass(500);
                self.start_agent();
                good("")
            }
            Some(&"show") => good(self.shown()),
            _ => good(""),
        }
    }

    fn shown(&self) -> String {
        let host = self.host.borrow();
        let (active, pid) =
            host.agent.as_ref().map_or((if host.enabled { "failed" } else { "inactive" }, 0), |agent| ("active", agent.pid));
        let file = if host.enabled { "enabled" } else { "disabled" };
        format!(
            "LoadState=loaded\nActiveState={active}\nUnitFileState={file}\nMainPID={pid}\nPIDFile=/run/teleport.pid\nCanReload=yes\nControlGroup=/system.slice/teleport.service\nResult=success\nNRestarts=0\n"
        )
    }
}
