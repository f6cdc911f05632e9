//! Real files in a scratch directory; "root" is whoever runs the tests.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::rules::window::Schedule;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("teleport-upgrade-config-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn with(self, file: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.0.join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn root(&self) -> u32 {
        fs::metadata(&self.0).unwrap().uid()
    }

    fn load(&self) -> Result<Loaded, Error> {
        load(&self.0, self.root())
    }

    fn error(&self) -> String {
        let error = self.load().unwrap_err();
        assert_eq!(error.class, Class::Config);
        error.to_string().replace(&self.0.display().to_string(), "DIR")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_empty_or_missing_directory_gives_the_documented_defaults() {
    let empty = Scratch::new("empty");
    for loaded in [empty.load().unwrap(), load(&empty.0.join("missing"), empty.root()).unwrap()] {
        let policy = loaded.policy;
        assert_eq!(policy.endpoint.to_string(), "updates.releases.teleport.dev/v1/stable/cloud");
        assert_eq!(policy.endpoint_source, EndpointSource::BuiltIn);
        assert_eq!((policy.package, policy.installer, policy.repo, policy.pin), (None, None, None, None));
        assert_eq!((policy.downgrade, policy.hold), (Downgrade::SameMajor, Hold::Between));
        assert_eq!((policy.transport, policy.detail), (Transport::Tls, Detail::Normal));
    }
}

#[test]
fn every_file_is_read_with_comments_blank_lines_and_windows_line_ends() {
    let loaded = Scratch::new("full")
        .with("endpoint", "# ours\n\n  proxy.example.com:443/v1/webapi/automaticupgrades/channel/default  \r\n")
        .with("package", "teleport-ent-fips # fips\n")
        .with("installer", "nop")
        .with("repo", "satellite-teleport\n")
        .with("pin", "v16.2.0\n")
        .with("allow-downgrade", "any")
        .with("lock", "no")
        .with("debug", "yes")
        .with("schedule", "\u{0}garbage that is not ours")
        .with("mark-unhealthy", "1700000000")
        .load()
        .unwrap();
    let policy = loaded.policy;
    assert_eq!(policy.endpoint.to_string(), "proxy.example.com:443/v1/webapi/automaticupgrades/channel/default");
    assert_eq!(policy.endpoint_source, EndpointSource::Configured);
    assert_eq!(policy.package.unwrap().as_str(), "teleport-ent-fips");
    assert_eq!(policy.installer, Some(Installer::Nop));
    assert_eq!(policy.repo.unwrap().as_str(), "satellite-teleport");
    assert_eq!(policy.pin.unwrap().to_string(), "16.2.0");
    assert_eq!((policy.downgrade, policy.hold, policy.detail), (Downgrade::Any, Hold::Never, Detail::Debug));
    assert!(loaded.warnings.is_empty() && loaded.unknown.is_empty(), "{:?} {:?}", loaded.warnings, loaded.unknown);
}

#[test]
fn a_value_that_makes_no_sense_is_named_with_file_line_value_and_what_is_accepted() {
    let stories = [
        (
            "lock",
            "maybe\n",
            "DIR/lock line 1: \"maybe\" is not one of the accepted values: yes, no\n    next: correct the value or remove DIR/lock",
        ),
        (
            "installer",
            "# x\npacman\n",
            "DIR/installer line 2: \"pacman\" is not one of the accepted values: apt, dnf, yum, zypper, nop\n    next: correct the value or remove DIR/installer",
        ),
        (
            "pin",
            "latest",
            "DIR/pin line 1: \"latest\" does not fit: \"latest\" is not a version such as 16.2.0; accepted: a version, such as 16.2.0\n    next: correct the value or remove DIR/pin",
        ),
        (
            "endpoint",
            "exa mple/x",
            "DIR/endpoint line 1: \"exa mple/x\" has the host \"exa mple\"; accepted: HOST[:PORT]/PATH without a scheme\n    next: correct the value or remove DIR/endpoint",
        ),
        (
            "package",
            "one\ntwo\n",
            "DIR/package line 2: \"two\" is a second value after line 1\n    next: write exactly one value a file",
        ),
        (
            "repo",
            "\u{7f}\n",
            "DIR/repo line 1: \"\\x7f\" does not fit: \"\\x7f\" is no repository name; accepted: the name of a repository, such as teleport\n    next: correct the value or remove DIR/repo",
        ),
    ];
    for (file, text, expected) in stories {
        assert_eq!(Scratch::new(&format!("bad-{file}")).with(file, text).error(), expected);
    }
    let not_text = Scratch::new("binary").with("lock", b"\xff\xfe").error();
    assert_eq!(not_text, "DIR/lock line 1: \"\\xff\\xfe\" is not text\n    next: write exactly one value a file");
    let huge = Scratch::new("huge").with("lock", vec![b'#'; 65_537]).error();
    assert_eq!(huge, "DIR/lock is larger than 64 KiB\n    next: write one value into DIR/lock");
}

#[test]
fn a_pasted_endpoint_is_forgiven_with_a_warning_that_says_what_to_write() {
    let scratch = Scratch::new("pasted").with("endpoint", "https://example.com/v1/version\n");
    let loaded = scratch.load().unwrap();
    assert_eq!(loaded.policy.endpoint.to_string(), "example.com/v1");
    let place = scratch.0.join("endpoint");
    assert_eq!(
        loaded.warnings,
        [
            format!("{} line 1: ignoring \"https://\" in front: write example.com/v1", place.display()),
            format!("{} line 1: ignoring \"/version\" at the end: write example.com/v1", place.display()),
        ]
    );
}

#[test]
fn unknown_files_are_named_and_nothing_else_happens() {
    let loaded = Scratch::new("unknown").with("endpiont", "x").with("a\x1b[2J", "y").load().unwrap();
    assert_eq!(loaded.unknown, ["\"a\\x1b[2J\"", "\"endpiont\""]);
}

#[test]
fn insecure_is_only_for_this_very_machine() {
    let local = Scratch::new("local").with("insecure", "yes").with("endpoint", "localhost:8000/x").load().unwrap();
    assert_eq!(local.policy.transport, Transport::PlainLocal);
    let error = Scratch::new("remote").with("insecure", "yes").with("endpoint", "example.com/x").error();
    assert!(error.starts_with("refusing to run in insecure mode for non-local endpoint example.com/x."), "{error}");
}

#[test]
fn h35_what_others_may_write_is_refused_with_the_command_that_mends_it() {
    let file = Scratch::new("mode").with("endpoint", "example.com/x");
    fs::set_permissions(file.0.join("endpoint"), fs::Permissions::from_mode(0o664)).unwrap();
    assert_eq!(
        file.error(),
        "DIR/endpoint can be written by others than root (mode 0664), and what it says decides what root installs\n    next: look at what it says, then: chown root:root DIR/endpoint && chmod 0644 DIR/endpoint"
    );
    let directory = Scratch::new("directory");
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(directory.error().ends_with("chown root:root DIR && chmod 0755 DIR"), "{}", directory.error());
    let strangers = Scratch::new("owner").with("endpoint", "example.com/x");
    let error = load(&strangers.0, strangers.root() + 1).unwrap_err().to_string();
    assert!(error.contains("belongs to user"), "{error}");
    let link = Scratch::new("link").with("elsewhere", "example.com/x");
    symlink(link.0.join("elsewhere"), link.0.join("endpoint")).unwrap();
    assert!(link.error().starts_with("DIR/endpoint is a symbolic link"), "{}", link.error());
    let directory_for_a_file = Scratch::new("dir");
    fs::create_dir(directory_for_a_file.0.join("pin")).unwrap();
    assert!(directory_for_a_file.error().starts_with("DIR/pin is not a regular file"), "{}", directory_for_a_file.error());
}

#[test]
fn h24_a_schedule_that_is_a_trap_is_described_and_not_followed() {
    let said = |scratch: &Scratch| match read_schedule(&scratch.0) {
        Schedule::Unreadable(why) => why,
        other => format!("{other:?}"),
    };
    assert_eq!(read_schedule(&Scratch::new("none").0), Schedule::Missing);
    let link = Scratch::new("schedule-link").with("elsewhere", "1 2");
    symlink(link.0.join("elsewhere"), link.0.join("schedule")).unwrap();
    assert_eq!(said(&link), "is a symbolic link");
    let pipe = Scratch::new("schedule-fifo");
    rustix::fs::mknodat(rustix::fs::CWD, pipe.0.join("schedule"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert_eq!(said(&pipe), "is not a regular file");
    let hard = Scratch::new("schedule-hard").with("elsewhere", "1 2");
    fs::hard_link(hard.0.join("elsewhere"), hard.0.join("schedule")).unwrap();
    assert_eq!(said(&hard), "has more than one name (hard links)");
    let huge = Scratch::new("schedule-huge").with("schedule", vec![b'1'; 65_537]);
    assert_eq!(said(&huge), "is larger than 64 KiB");
    let sparse = Scratch::new("schedule-sparse").with("schedule", "");
    fs::File::options().write(true).open(sparse.0.join("schedule")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(said(&sparse), "is larger than 64 KiB");
    let full = Scratch::new("schedule-full").with("schedule", "100 200\n");
    assert!(matches!(read_schedule(&full.0), Schedule::Read { windows, .. } if windows.len() == 1));
}
