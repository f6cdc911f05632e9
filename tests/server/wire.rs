//! Clients of every kind: split and pipelined requests, wrong methods, large heads, NULs, a hundred that drip beside one that is fast.

use std::time::Instant;

use super::*;

const VERSION: &str = "GET /webapi/automaticupgrades/channel/default/version HTTP/1.1\r\nHost: a\r\n\r\n";

fn server(name: &str, words: &[&str]) -> Running {
    serving(name, &channels("default: { static_version: v16.2.0 }"), words)
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect()
}

#[test]
fn a_request_may_come_byte_by_byte_and_several_may_come_at_once() {
    let server = server("split", &[]);
    let mut stream = server.connection();
    stream.set_nodelay(true).unwrap();
    for byte in VERSION.bytes() {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut answer = [0; 17];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n");
    // One after the other, in their order, also where the last of them is one too many.
    let head = "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = server.sent(format!("{VERSION}{head}{VERSION}GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n{VERSION}"));
    assert_eq!(statuses(&answers), ["200", "200", "200", "404", "400"]);
    assert_eq!(answers.matches("v16.2.0").count(), 4, "two bodies and two tags: {answers}");
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let server = server("nonsense", &[]);
    for (bytes, status) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".to_owned(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "400"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1_000_000)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), "431"),
    ] {
        let answer = server.sent(&bytes);
        assert_eq!(statuses(&answer), [status], "{:?}", &bytes[..bytes.len().min(60)]);
        assert!(answer.contains("\r\nConnection: close\r\n") || bytes.contains("close"), "{answer}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"] {
        let answer = server.sent(VERSION.replace("GET", method).replace("Host: a", "Host: a\r\nConnection: close"));
        assert!(
            answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && answer.contains("\r\nAllow: GET, HEAD\r\n"),
            "{method}: {answer}"
        );
    }
    let posted = server.sent(VERSION.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nx=y"));
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("\r\nAllow: GET, HEAD\r\n"), "{posted}");
    assert_eq!(statuses(&posted), ["405"], "its body is no request");
    assert_eq!(server.body("default/version"), "v16.2.0");
}

#[test]
fn slashes_that_are_repeated_or_come_last_make_no_other_channel() {
    let server = serving("slashes", &channels("default: { static_version: 16.2.0 }\ncanary: { static_version: 16.3.0 }"), &[]);
    for question in ["canary/version", "canary//version", "/canary/version/", "canary/version//", "%2Fcanary/version"] {
        assert_eq!(server.body(question), "v16.3.0", "{question}");
    }
}

#[test]
fn what_a_client_has_already_is_not_sent_again() {
    let server = server("tags", &[]);
    let ask =
        |has: &str| server.sent(VERSION.replace("Host: a", &format!("Host: a\r\nConnection: close\r\nIf-None-Match: {has}")));
    assert!(ask("\"v16.2.0\"").starts_with("HTTP/1.1 304 Not Modified\r\n"));
    assert!(ask("\"v16.1.7\"").ends_with("\r\n\r\nv16.2.0"));
}

/// Each of them sends one byte a second, and would take two minutes.
#[test]
fn a_hundred_dripping_clients_keep_nobody_waiting_and_are_sent_away() {
    let server = server("drip", &[]);
    let mut dripping: Vec<TcpStream> = (0..100).map(|_| server.connection()).collect();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < Duration::from_secs(9) {
        for stream in &mut dripping {
            stream.write_all(b"G").unwrap();
        }
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(server.body("default/version"), "v16.2.0");
            slowest = slowest.max(asked.elapsed());
        }
        std::thread::sleep(Duration::from_millis(900));
    }
    assert!(slowest < Duration::from_secs(1), "the fast one waited for {slowest:?}");
    for mut stream in dripping {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(25));
}

#[test]
fn one_connection_more_than_are_served_is_told_so_and_the_next_one_is_served() {
    let server = server("full", &["--connections", "3"]);
    let mut open: Vec<TcpStream> = (0..3).map(|_| server.connection()).collect();
    for stream in &mut open {
        stream.write_all(b"GET ").unwrap();
    }
    let refused = server.sent("");
    assert!(
        refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && refused.contains("\r\nRetry-After: 5\r\n"),
        "{refused}"
    );
    open.clear();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.body("default/version"), "v16.2.0");
}

/// One answer with its body, and whether it is the last.
fn answer(stream: &mut TcpStream) -> (String, bool) {
    let mut answer = String::new();
    while !answer.ends_with("v16.2.0") || !answer.contains("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        answer.push(char::from(byte[0]));
    }
    (answer.clone(), answer.contains("\r\nConnection: close\r\n"))
}

#[test]
fn clients_that_keep_all_connections_alive_give_their_places_up_with_the_next_answer() {
    let server = server("starve", &["--connections", "4"]);
    let mut open: Vec<TcpStream> = (0..4).map(|_| server.connection()).collect();
    std::thread::sleep(Duration::from_millis(200));
    open[0].write_all(format!("{VERSION}{VERSION}").as_bytes()).unwrap();
    assert!(!answer(&mut open[0]).1, "another one came with it");
    assert!(answer(&mut open[0]).1);
    assert_eq!(open[0].read_to_end(&mut Vec::new()).unwrap(), 0);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.body("default/version"), "v16.2.0", "somebody else is served");
    // With places to spare, everybody stays.
    std::thread::sleep(Duration::from_millis(1500));
    open[1].write_all(VERSION.as_bytes()).unwrap();
    assert!(!answer(&mut open[1]).1);
}

#[test]
fn a_connection_ends_after_a_thousand_answers() {
    let server = server("thousand", &[]);
    let mut stream = server.connection();
    for number in 1..=1000 {
        stream.write_all(VERSION.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).1, number == 1000, "{number}");
    }
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_connection_on_which_nothing_is_asked_any_more_ends_after_fifteen_seconds() {
    let server = server("idle", &[]);
    let (mut stream, mut silent) = (server.connection(), server.connection());
    let began = Instant::now();
    stream.write_all(VERSION.as_bytes()).unwrap();
    assert!(!answer(&mut stream).1);
    for stream in [&mut stream, &mut silent] {
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!((14..19).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}

/// They ask for more than the kernel keeps for them; one reads nothing, the other a little now and then, for which each call to write would be
/// given its time anew.
#[test]
fn a_client_that_does_not_read_its_answers_is_left_after_ten_seconds_however_little_it_reads() {
    use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
    for drop_by_drop in [false, true] {
        let server = server(if drop_by_drop { "sip" } else { "unread" }, &[]);
        // A thread a connection.
        let threads = || fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap().count();
        let before = threads();
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        // Before it is connected, or the window is large already.
        sockopt::set_socket_recv_buffer_size(&fd, 4096).unwrap();
        connect(&fd, &std::net::SocketAddr::from(([127, 0, 0, 1], server.port))).unwrap();
        let mut stream = TcpStream::from(fd);
        stream.write_all(VERSION.repeat(990).as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) || threads() > before {
            std::thread::sleep(Duration::from_millis(100));
            if drop_by_drop {
                let _ = stream.read(&mut [0; 1024]);
            }
            assert!(began.elapsed() > Duration::from_secs(8) || threads() > before, "it is left too early");
            assert!(began.elapsed() < Duration::from_secs(20), "it is held");
        }
    }
}

/// Stopped, so that nothing is accepted before it is told to end.
#[test]
fn an_order_to_end_is_obeyed_when_all_that_the_kernel_has_let_in_are_answered() {
    let mut server = server("queue", &[]);
    let mut kept = server.connection();
    kept.write_all(VERSION.as_bytes()).unwrap();
    assert!(!answer(&mut kept).1);
    server.signal("-STOP");
    let mut asking: Vec<TcpStream> = (0..30).map(|_| server.connection()).collect();
    let mut three = server.connection();
    for stream in asking.iter_mut().chain([&mut kept]) {
        stream.write_all(VERSION.as_bytes()).unwrap();
    }
    three.write_all(VERSION.repeat(3).as_bytes()).unwrap();
    server.signal("-TERM");
    server.signal("-CONT");
    for stream in asking.iter_mut().chain([&mut kept]) {
        let text = answer(stream).0;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }
    let mut answers = String::new();
    three.read_to_string(&mut answers).unwrap();
    assert_eq!(statuses(&answers), ["200", "200", "200"]);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(server.line(), "[i] told to end: every request that had begun is answered");
}

#[test]
fn a_first_byte_that_is_on_its_way_when_the_order_to_end_comes_is_waited_for() {
    let mut server = server("first-byte", &[]);
    let (_silent, mut late) = (server.connection(), server.connection());
    std::thread::sleep(Duration::from_millis(200));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_millis(20));
    late.write_all(VERSION.as_bytes()).unwrap();
    assert!(answer(&mut late).1);
    let began = Instant::now();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_millis(1500), "a silent one is waited for: {:?}", began.elapsed());
}

#[test]
fn a_port_that_this_process_may_not_have_is_not_tried_again() {
    use std::os::unix::process::CommandExt;
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim() != "1024" {
        return; // Anybody may have any: src/server/serve.rs tests the sentence.
    }
    let file = scratch("port").join("channels.yaml");
    fs::write(&file, channels("default: { static_version: v16.2.0 }")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "127.0.0.1:80", "--config"]).arg(&file).stderr(Stdio::piped());
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.starts_with("[!] 127.0.0.1:80 cannot be listened on: Permission denied"), "{said}");
    assert!(said.contains("\n    next: choose a port from 1024 on with --listen"), "{said}");
}

fn limited(name: &str, limits: &str, connections: &str) -> Command {
    let file = scratch(name).join("channels.yaml");
    fs::write(&file, channels("default: { static_version: v16.2.0 }")).unwrap();
    let mut shell = Command::new("/bin/sh");
    let script = format!("{limits} && exec \"$0\" serve --listen 127.0.0.1:0 --connections {connections} --config \"$1\"");
    shell.args(["-c", &script, PROGRAM]).arg(file).stderr(Stdio::piped());
    shell
}

#[test]
fn more_connections_than_there_can_be_descriptors_are_refused_at_the_start() {
    let output = limited("descriptors", "ulimit -n 100", "512").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert_eq!(
        said,
        "[!] --connections 512 needs 656 open files, and the limit of this process is 100 (RLIMIT_NOFILE, ulimit -Hn)\n    next: raise the limit (LimitNOFILE= in the unit), or serve at most 67\n"
    );
}

#[test]
fn the_limit_of_descriptors_is_raised_so_that_one_connection_more_is_told_so() {
    let mut child = limited("raised", "ulimit -Sn 40 && ulimit -Hn 200", "100").spawn().unwrap();
    let mut first = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut first).unwrap();
    let port = first.trim_end().rsplit_once(':').unwrap().1.parse().unwrap_or_else(|_| panic!("{first}"));
    let (_, said) = channel();
    let server = Running { child, port, said: Mutex::new(said), configuration: PathBuf::new() };
    let _open: Vec<TcpStream> = (0..100).map(|_| server.connection()).collect();
    assert_eq!(statuses(&server.sent("")), ["503"]);
}
