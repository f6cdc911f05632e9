//! The published tree where something goes wrong: servers that are silent, runs that stop half-way, files that are not ours.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::support::server::certificates::lab;
use crate::support::server::{Server, ok};

const BELOW: &str = "v1/webapi/automaticupgrades/channel";

/// A directory to publish to, with the file that says what.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        Self(scratch(name))
    }

    /// Publishes these channels: the exit code and what was said, on either stream.
    fn publish(&self, lines: &str) -> (i32, String) {
        let (file, out) = (self.0.join("c.yaml"), self.0.join("out"));
        fs::write(&file, channels(lines)).unwrap();
        let (exit, out, said) = run(&["publish", out.to_str().unwrap(), "--config", file.to_str().unwrap()]);
        (exit, out + &said)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("out").join(BELOW).join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| error.to_string())
    }
}

fn forwarded_to(port: u16) -> String {
    format!("{{ forward_url: http://127.0.0.1:{port}/up }}")
}

fn saying(version: &'static str, critical: &'static str) -> Server {
    Server::plain(move |mut peer| {
        while let Some(request) = peer.request() {
            peer.answer(if request.contains("/critical") { critical } else { version });
        }
    })
}

#[test]
fn a_dead_server_stops_neither_a_halt_nor_another_channel_and_its_own_channels_keep_their_answers() {
    let tree = Tree::new("dead");
    let upstream = saying("16.2.0", "yes");
    let mirror = forwarded_to(upstream.port);
    assert_eq!(tree.publish(&format!("default: {{ static_version: 16.1.0 }}\nmirror: {mirror}")).0, 0);
    let touched = || fs::metadata(tree.path("mirror/version")).unwrap().modified().unwrap();
    let before = touched();
    // Nobody listens on port 1.
    let (exit, said) = tree.publish(&format!(
        "default: {{ static_version: 16.1.0, halt: true }}\nmirror: {dead}\nnew: {dead}\nother: {mirror}",
        dead = forwarded_to(1)
    ));
    assert_eq!(exit, 75, "{said}");
    assert_eq!((tree.text("default/version"), tree.text("stable/cloud/version")), ("none".into(), "none".into()));
    assert_eq!((tree.text("other/version"), tree.text("other/critical")), ("v16.2.0".into(), "yes".into()));
    assert_eq!((tree.text("mirror/version"), tree.text("mirror/critical"), touched()), ("v16.2.0".into(), "yes".into(), before));
    assert!(said.contains("mirror, from http://127.0.0.1:1/up: its earlier answers stand: "), "{said}");
    assert!(said.contains("new, from http://127.0.0.1:1/up: it has no earlier answers: "), "{said}");
    assert!(!said.contains("default, from") && !said.contains("other, from"), "{said}");
    assert!(!tree.path("new").exists());
}

/// Whatever is in the way of one channel, and however full the disk is.
#[test]
fn a_channel_that_cannot_be_written_keeps_no_halt_from_being_published() {
    let tree = Tree::new("obstacle");
    assert_eq!(tree.publish("aaa: { static_version: 16.2.0 }\nzzz: { static_version: 16.3.0, critical: true }").0, 0);
    fs::remove_file(tree.path("aaa/version")).unwrap();
    fs::create_dir(tree.path("aaa/version")).unwrap();
    let (exit, said) =
        tree.publish("aaa: { static_version: 16.2.0 }\nzzz: { static_version: 16.3.0, critical: true, halt: true }");
    assert_eq!((tree.text("zzz/version"), tree.text("zzz/critical"), exit), ("none".into(), "no".into(), 75));
    assert!(said.contains("channel/aaa/version is in the way of an answer"), "{said}");
    assert_eq!(tree.text("aaa/critical"), "no");
}

#[test]
fn a_server_that_several_channels_are_forwarded_to_is_asked_once_a_run_and_no_pair_is_mixed() {
    // The first to ask is told one thing, everybody later another one.
    let upstream = Server::plain({
        let asked = std::sync::atomic::AtomicUsize::new(0);
        move |mut peer| {
            while let Some(request) = peer.request() {
                let is_first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2;
                let (version, critical) = if is_first { ("16.2.0", "no") } else { ("16.3.0", "yes") };
                peer.send(ok(if request.contains("/critical") { critical } else { version }));
            }
        }
    });
    let tree = Tree::new("once");
    let up = forwarded_to(upstream.port);
    let (exit, said) = tree.publish(&format!("default: {up}\nwest: {up}"));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(upstream.asked(), ["GET /up/version HTTP/1.1", "GET /up/critical HTTP/1.1"]);
    for name in ["default", "stable/cloud", "west"] {
        let pair = (tree.text(&format!("{name}/version")), tree.text(&format!("{name}/critical")));
        assert_eq!(pair, ("v16.2.0".into(), "no".into()), "{name}");
    }
}

/// Something is in the way of one of the two files, so that nothing is done between them.
#[test]
fn a_run_that_stops_half_way_leaves_no_version_critical_that_is_not() {
    let tree = Tree::new("torn");
    let (calm, urgent) = ("default: { static_version: 16.2.0 }", "default: { static_version: 16.3.0, critical: true }");
    let pair = || (tree.text("default/version"), tree.text("default/critical"));
    let stopped_at = |word: &str, lines: &str| {
        let obstacle = tree.path(&format!("default/.{word}.new"));
        fs::create_dir(&obstacle).unwrap();
        let (exit, said) = tree.publish(lines);
        // The run goes on with what else is to be done, which may remove it.
        let _ = fs::remove_dir(&obstacle);
        assert_eq!(exit, 75, "{said}");
        assert!(said.contains(&format!("default/.{word}.new")), "{said}");
    };
    assert_eq!(tree.publish(calm).0, 0);
    stopped_at("critical", urgent);
    assert_eq!(pair(), ("v16.3.0".into(), "no".into()));
    assert_eq!(tree.publish(urgent).0, 0);
    stopped_at("version", calm);
    assert_eq!(pair(), ("v16.3.0".into(), "no".into()));
}

#[test]
fn a_second_run_waits_for_the_first_one_and_reads_its_configuration_then() {
    let tree = Tree::new("lock");
    let before = "default: { static_version: 16.2.0 }";
    assert_eq!(tree.publish(before).0, 0);
    let first = fs::File::open(tree.0.join("out")).unwrap();
    first.lock().unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| tree.publish(before));
        std::thread::sleep(Duration::from_millis(500));
        fs::write(tree.0.join("c.yaml"), channels("default: { static_version: 16.3.0 }")).unwrap();
        assert!(!second.is_finished());
        assert_eq!(tree.text("default/version"), "v16.2.0");
        first.unlock().unwrap();
        assert_eq!(second.join().unwrap().0, 0);
    });
    assert_eq!(tree.text("default/version"), "v16.3.0");
}

#[test]
fn a_run_that_does_not_end_is_named_after_half_a_minute() {
    let tree = Tree::new("stuck");
    fs::create_dir(tree.0.join("out")).unwrap();
    let first = fs::File::open(tree.0.join("out")).unwrap();
    first.lock().unwrap();
    let (exit, said) = tree.publish("default: { static_version: 16.2.0 }");
    assert!(exit == 75 && said.contains("another publish is at work in ") && !tree.path("default").exists(), "{exit}: {said}");
}

#[test]
fn what_a_dead_run_or_an_intruder_left_beside_an_answer_is_removed_and_no_link_is_followed() {
    let tree = Tree::new("leftovers");
    let victim = tree.0.join("victim");
    fs::write(&victim, "untouched").unwrap();
    fs::create_dir_all(tree.path("default")).unwrap();
    fs::create_dir_all(tree.path("gone")).unwrap();
    symlink(&victim, tree.path("default/.version.new")).unwrap();
    symlink(&victim, tree.path("default/critical")).unwrap();
    fs::write(tree.path("gone/.critical.new"), "ye").unwrap();
    assert_eq!(tree.publish("default: { static_version: 16.2.0 }").0, 0);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!((tree.text("default/version"), tree.text("default/critical")), ("v16.2.0".into(), "no".into()));
    let names: Vec<_> = fs::read_dir(tree.path("default")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!tree.path("gone").exists());
    // Neither is one that leads to another channel.
    symlink(tree.path("default"), tree.path("west")).unwrap();
    let (exit, said) = tree.publish("default: { static_version: 16.2.0 }\nwest: { static_version: 16.3.0 }");
    assert!(exit == 75 && said.contains("channel/west is in the way of an answer"), "{exit}: {said}");
    assert_eq!(tree.text("default/version"), "v16.2.0");
}

#[test]
fn a_directory_or_a_file_in_the_way_of_an_answer_is_named() {
    for (name, place) in [("way-file", "west"), ("way-directory", "west/version")] {
        let tree = Tree::new(name);
        match place {
            "west" => {
                fs::create_dir_all(tree.path("")).unwrap();
                fs::write(tree.path(place), "").unwrap();
            }
            _ => fs::create_dir_all(tree.path(place)).unwrap(),
        }
        let (exit, said) = tree.publish("west: { static_version: 16.3.0 }");
        assert!(exit == 75 && said.contains(&format!("channel/{place} is in the way of an answer")), "{exit}: {said}");
    }
}

#[test]
fn every_file_and_directory_can_be_read_by_all_whatever_the_umask_and_a_changed_mode_is_repaired() {
    let top = scratch("modes");
    let (file, out) = (top.join("c.yaml"), top.join("below/out"));
    fs::write(&file, channels("west/blue: { static_version: 16.3.0 }")).unwrap();
    let publish = || {
        let words = format!("umask 077; exec {PROGRAM} publish {} --config {}", out.display(), file.display());
        assert!(Command::new("sh").args(["-c", &words]).output().unwrap().status.success());
    };
    publish();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let version = out.join(BELOW).join("west/blue/version");
    assert_eq!(mode(&version), 0o644);
    for directory in version.ancestors().skip(1).take_while(|path| **path != *top) {
        assert_eq!(mode(directory), 0o755, "{}", directory.display());
    }
    fs::set_permissions(&version, fs::Permissions::from_mode(0o600)).unwrap();
    publish();
    assert_eq!(mode(&version), 0o644);
}

#[test]
fn authorities_that_are_named_and_cannot_be_read_are_replaced_by_no_others() {
    let top = scratch("authorities");
    let file = top.join("c.yaml");
    fs::write(&file, channels("west: { forward_url: https://127.0.0.1:1/v1 }")).unwrap();
    let mut publish = Command::new(PROGRAM);
    publish.arg("publish").arg(top.join("out")).arg("--config").arg(&file);
    let output = publish.env_clear().env("SSL_CERT_FILE", "/nowhere/ca.pem").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(said.contains("SSL_CERT_FILE names /nowhere/ca.pem, which cannot be read: No such file"), "{said}");
}

#[test]
fn lines_have_priorities_only_where_the_journal_itself_reads_them() {
    use std::os::unix::fs::MetadataExt;
    let top = scratch("priorities");
    let file = top.join("c.yaml");
    fs::write(&file, channels("west: { forward_url: http://127.0.0.1:1/v1 }")).unwrap();
    let log = fs::File::create(top.join("log")).unwrap();
    let stat = log.metadata().unwrap();
    for (stream, priority) in [(format!("{}:{}", stat.dev(), stat.ino()), "<4>[!] "), (format!("{}:1", stat.dev()), "[!] ")] {
        log.set_len(0).unwrap();
        let mut publish = Command::new(PROGRAM);
        publish.arg("publish").arg(top.join("out")).arg("--config").arg(&file).env_clear().env("JOURNAL_STREAM", stream);
        publish.stderr(fs::OpenOptions::new().append(true).open(top.join("log")).unwrap());
        assert_eq!(publish.status().unwrap().code(), Some(75));
        let said = fs::read_to_string(top.join("log")).unwrap();
        assert!(said.starts_with(priority), "{said}");
    }
}

/// The only way out of many networks that a version server stands in.
#[test]
fn a_server_is_asked_through_the_proxy_of_the_environment_unless_no_proxy_names_it() {
    let upstream = Server::tls(&lab().good, |mut peer| {
        while let Some(request) = peer.request() {
            peer.answer(if request.contains("/critical") { "no" } else { "16.2.0" });
        }
    });
    let port = upstream.port;
    let proxy = Server::plain(move |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.tunnel_to(port);
    });
    let tree = Tree::new("proxy");
    fs::write(tree.0.join("ca.pem"), &lab().authority).unwrap();
    let file = tree.0.join("c.yaml");
    fs::write(&file, channels(&format!("default: {{ forward_url: https://version.test:{port}/up }}"))).unwrap();
    let publish = |without: &str| {
        let mut command = Command::new(PROGRAM);
        command.arg("publish").arg(tree.0.join("out")).arg("--config").arg(&file).env_clear();
        command.env("https_proxy", format!("http://127.0.0.1:{}", proxy.port)).env("no_proxy", without);
        command.env("SSL_CERT_FILE", tree.0.join("ca.pem")).output().unwrap()
    };
    // The name is one that nobody resolves.
    assert_eq!(publish("version.test").status.code(), Some(75));
    assert_eq!(proxy.accepted(), 0);
    let published = publish("another.test");
    assert_eq!(published.status.code(), Some(0), "{}", String::from_utf8_lossy(&published.stderr));
    assert_eq!(tree.text("default/version"), "v16.2.0");
    assert_eq!(proxy.asked(), [format!("CONNECT version.test:{port} HTTP/1.1")]);
}

#[test]
fn where_nothing_was_published_nothing_else_is_claimed_and_the_commands_name_a_directory() {
    let tree = Tree::new("nothing");
    let (exit, said) = tree.publish(&format!("default: {}", forwarded_to(1)));
    assert_eq!(exit, 75, "{said}");
    assert!(said.ends_with("\n    next: try again\n") && !said.contains(";     next"), "{said}");
    fs::write(tree.0.join("taken"), "a file").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["publish", "taken", "--config", "c.yaml"]).env_clear().current_dir(&tree.0);
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.ends_with("next: df -h .; df -i .; ls -ld .\n"), "{said}");
}
