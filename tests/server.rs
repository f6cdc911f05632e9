//! `teleport-version-server` as it is shipped, on the wire: asked by the host updater's own client, and by clients of every kind that a public
//! server meets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts what it tests"
)]

mod files;
mod forwarding;
mod published;
mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_teleport-version-server");

/// A server that listens; it ends with its test.
struct Running {
    child: Child,
    port: u16,
    said: Mutex<Receiver<String>>,
    configuration: PathBuf,
}

fn scratch(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("server-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn channels(lines: &str) -> String {
    format!("automatic_upgrades_channels:\n  {}\n", lines.replace('\n', "\n  "))
}

/// Starts it with this configuration, and these words besides.
fn serving(name: &str, configuration: &str, words: &[&str]) -> Running {
    let file = scratch(name).join("channels.yaml");
    fs::write(&file, configuration).unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .args(words)
        .env_clear()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, said) = channel();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).all(|line| send.send(line).is_ok()));
    let first: String = said.recv_timeout(Duration::from_secs(20)).unwrap();
    let port = first.rsplit_once(':').unwrap().1.parse().unwrap_or_else(|_| panic!("{first}"));
    Running { child, port, said: Mutex::new(said), configuration: file }
}

impl Running {
    /// What is answered to these bytes, to the end of the connection.
    fn sent(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connection();
        let _ = stream.write_all(bytes.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn connection(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Status and body for a question of a channel.
    fn asked(&self, question: &str) -> (String, String) {
        let request =
            format!("GET /v1/webapi/automaticupgrades/channel/{question} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = self.sent(request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().to_owned(), body.to_owned())
    }

    fn body(&self, question: &str) -> String {
        self.asked(question).1
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The next line that it says.
    fn line(&self) -> String {
        self.said.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Another configuration, and what is said of it.
    fn reload(&self, configuration: &str) -> String {
        fs::write(&self.configuration, configuration).unwrap();
        self.signal("-HUP");
        self.line()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROGRAM).args(words).env_clear().output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_host_updaters_own_client_is_answered_both_questions_over_one_connection() {
    use teleport_upgrade::offers::authorities::Authorities;
    use teleport_upgrade::offers::client::{Limits, Surroundings, VersionServer};
    use teleport_upgrade::offers::proxy::Proxies;
    use teleport_upgrade::offers::reply::Offered;
    use teleport_upgrade::rules::endpoint::ForgivenEndpoint;
    use teleport_upgrade::rules::policy::Transport;
    let server = serving("client", &channels("default: { static_version: v16.2.0, critical: true }"), &[]);
    let endpoint = format!("127.0.0.1:{}/v1/webapi/automaticupgrades/channel/some/where", server.port);
    let endpoint = endpoint.parse::<ForgivenEndpoint>().unwrap().endpoint;
    let surroundings = Surroundings {
        authorities: Authorities::built_in(),
        proxies: Proxies::default(),
        user_agent: "test/1",
        limits: Limits::default(),
        pause: &|_| panic!("asked again"),
    };
    let mut client = VersionServer::new(&endpoint, Transport::PlainLocal, surroundings).unwrap();
    let answer = client.version().unwrap();
    assert_eq!(answer.offered, Offered::Release("16.2.0".parse().unwrap()));
    assert!(answer.server_time.is_some());
    assert_eq!(client.critical(), Ok(true));
}

#[test]
fn a_reload_changes_answers_at_once_and_a_file_that_makes_no_sense_changes_nothing() {
    let server = serving("reload", &channels("default: { static_version: v16.2.0 }"), &[]);
    assert_eq!(server.body("default/version"), "v16.2.0");
    assert!(server.reload(&channels("default: { static_version: v16.2.1, halt: true }")).ends_with("as it is now"));
    assert_eq!(server.asked("default/version"), ("200 OK".into(), "none".into()));
    let said = server.reload(&channels("default: { static_version: v16.2 }"));
    assert!(said.contains("line 2: automatic_upgrades_channels.default.static_version is \"v16.2\""), "{said}");
    assert_eq!(server.line(), "    what was served before is still served");
    assert_eq!(server.body("default/version"), "none");
    assert!(server.line().starts_with("    next: "));
    assert!(server.reload(&channels("default: { static_version: v16.2.2 }")).ends_with("as it is now"));
    assert_eq!(server.body("default/version"), "v16.2.2");
}

/// Two channels always have the same version: whoever sees both on one request would see a mixture.
#[test]
fn no_request_under_load_is_cut_off_or_answered_from_two_configurations() {
    let both =
        |version: &str| channels(&format!("default: {{ static_version: {version} }}\nnext: {{ static_version: {version} }}"));
    let server = serving("load", &both("16.0.0"), &[]);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut stream, mut seen) = (server.connection(), 0);
                    for round in 0..2000 {
                        // A connection ends after a thousand answers.
                        if round % 400 == 399 {
                            stream = server.connection();
                        }
                        // Both at once: their answers come in one go, and never from an older configuration than the one before.
                        let one = |name: &str| {
                            format!("GET /webapi/automaticupgrades/channel/{name}/version HTTP/1.1\r\nHost: a\r\n\r\n")
                        };
                        stream.write_all(format!("{}{}", one("default"), one("next")).as_bytes()).unwrap();
                        for _ in 0..2 {
                            let minor = minor_of_an_answer(&mut stream);
                            assert!(minor >= seen, "{minor} after {seen}");
                            seen = minor;
                        }
                    }
                    seen
                })
            })
            .collect();
        for minor in 1..40 {
            assert!(server.reload(&both(&format!("16.{minor}.0"))).ends_with("as it is now"));
        }
        for asking in asking {
            asking.join().unwrap();
        }
    });
    assert_eq!(server.body("next/version"), "v16.39.0");
}

fn minor_of_an_answer(stream: &mut TcpStream) -> u32 {
    let mut answer = String::new();
    let mut byte = [0];
    while !answer.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(char::from(byte[0]));
    }
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let length = answer.split_once("Content-Length: ").unwrap().1.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap().split('.').nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_order_to_end_lets_requests_that_have_begun_come_to_their_end() {
    let mut server = serving("drain", &channels("default: { static_version: v16.2.0 }"), &[]);
    let (mut idle, mut begun) = (server.connection(), server.connection());
    begun.write_all(b"GET /v1/webapi/automaticupgrades/channel/default/version HTTP/1.1\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.child.try_wait().unwrap().is_none(), "it has not waited");
    let refused = TcpStream::connect(("127.0.0.1", server.port)).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(std::io::ErrorKind::ConnectionRefused));
    begun.write_all(b"Host: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nv16.2.0"), "{answer}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(server.line(), "[i] told to end: every request that had begun is answered");
}

#[test]
fn a_request_that_does_not_become_complete_delays_the_end_by_two_seconds_only() {
    let mut server = serving("drain-drip", &channels("default: { static_version: v16.2.0 }"), &[]);
    let mut dripping = server.connection();
    dripping.write_all(b"G").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("-TERM");
    let began = std::time::Instant::now();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!((1..5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(server.line(), "[!] told to end: 1 requests were not complete after 2 s, and 0 not answered after 10 s");
}

#[test]
fn a_complete_request_is_answered_after_an_order_to_end_also_where_that_takes_seconds() {
    let upstream = crate::support::server::Server::plain(|mut peer| {
        while let Some(request) = peer.request() {
            std::thread::sleep(Duration::from_secs(2));
            peer.answer(if request.contains("/critical") { "no" } else { "16.2.0" });
        }
    });
    let forward = format!("default: {{ forward_url: http://127.0.0.1:{}/up }}", upstream.port);
    let mut server = serving("drain-slow", &channels(&forward), &[]);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| server.asked("default/version"));
        std::thread::sleep(Duration::from_millis(500));
        server.signal("-TERM");
        assert_eq!(asking.join().unwrap(), ("200 OK".into(), "v16.2.0".into()));
    });
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn with_a_configuration_that_makes_no_sense_nothing_listens_and_every_mistake_is_named() {
    let file = scratch("nonsense").join("c.yaml");
    fs::write(&file, channels("default: { static_version: v16.2 }\nx: {}")).unwrap();
    let path = file.to_str().unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().to_string();
    // It would say that the address is taken, had it come to that.
    let (exit, out, said) = run(&["serve", "--config", path, "--listen", &taken]);
    assert_eq!((exit, out.as_str()), (78, ""));
    assert_eq!(
        said.lines().next().unwrap(),
        format!(
            "[!] {path}: line 2: automatic_upgrades_channels.default.static_version is \"v16.2\": write a version such as v16.2.0, or none"
        )
    );
    assert!(
        said.contains(&format!("{path}: line 3: automatic_upgrades_channels.x has neither")) && !said.contains("listened"),
        "{said}"
    );
    fs::write(&file, channels("default: { static_version: v16.2.0 }")).unwrap();
    assert_eq!(run(&["check-config", path]).0, 0);
    assert_eq!(run(&["serve", "--config", "/nowhere/c.yaml"]).0, 78);
}

#[test]
fn an_address_that_is_taken_or_not_there_yet_is_worth_another_attempt() {
    let file = scratch("address").join("c.yaml");
    fs::write(&file, channels("default: { static_version: v16.2.0 }")).unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // No host has the second one (RFC 5737).
    for address in [listening.local_addr().unwrap().to_string(), "192.0.2.1:3080".into()] {
        let (exit, _, said) = run(&["serve", "--config", file.to_str().unwrap(), "--listen", &address]);
        assert_eq!(exit, 75, "{said}");
        assert!(said.starts_with(&format!("[!] {address} cannot be listened on: ")) && said.contains("next: "), "{said}");
    }
    let unit = include_str!("../package/teleport-version-server.service");
    assert!(unit.contains("\nRestartPreventExitStatus=64 78\n") && unit.contains("\nRestart=on-failure\n"));
}

#[test]
fn a_wrong_command_line_is_answered_with_what_is_wrong_and_the_help() {
    for (words, wrong) in [
        (vec![], "no command"),
        (vec!["sevre"], "there is no command \"sevre\""),
        (vec!["serve"], "--config FILE is missing"),
        (vec!["serve", "--config", "x", "--listen", "3080"], "--listen wants an address such as"),
        (vec!["serve", "--config", "x", "--connections", "0"], "--connections wants a number from 1 to 65536"),
        (vec!["serve", "--config", "x", "--windows", "3"], "--windows does not go with \"serve\""),
        (vec!["check-config", "x", "y"], "\"y\" is one word too many"),
        (vec!["schedule"], "schedule wants a file"),
        (vec!["schedule", "x", "--from", "tomorrow"], "--from: \"tomorrow\" is no time such as"),
        (vec!["publish", "--config", "x"], "publish wants a directory"),
    ] {
        let (exit, out, said) = run(&words);
        assert_eq!((exit, out.as_str()), (64, ""), "{words:?}");
        assert!(
            said.starts_with(&format!("teleport-version-server: {wrong}")) && said.contains("\n  teleport-version-server serve "),
            "{said}"
        );
    }
    let (exit, out, _) = run(&["--help"]);
    assert_eq!(exit, 0);
    assert!(out.starts_with("teleport-version-server: says which version"));
    assert_eq!(run(&["help", "serve"]).1, out);
    assert_eq!(run(&["--version"]).1, format!("v{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["version", "--raw"]).1, format!("{}\n", env!("CARGO_PKG_VERSION")));
}
