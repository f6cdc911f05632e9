//! The published tree where something goes wrong: servers that are silent, runs that stop half-way, files that are not ours.

use super::*;
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
