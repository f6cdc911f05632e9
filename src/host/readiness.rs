//! The agent's debug socket, on which newer agents say whether they are ready. Its directory is the agent's user's: whoever answers there
//! may say what it likes, but neither for long nor much, and "ready" alone proves nothing.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::quoted;
use crate::host::machine::Machine;
use crate::rules::health::Readiness;

/// Where it is, unless the agent's configuration moves its data directory; then it counts as silent.
const SOCKET: &str = "/var/lib/teleport/debug.sock";
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const LIMIT: Duration = Duration::from_secs(2);
const LONGEST: usize = 512;
/// Real ones say no more; what is longer is quoted in two parts.
const LONGEST_SAID: usize = 60;

/// Asks the agent. Whatever cannot be understood is silence.
#[must_use]
pub fn ask(machine: &Machine) -> Readiness {
    answer(machine).map_or(Readiness::Silent, |answer| read(&answer))
}

fn answer(machine: &Machine) -> std::io::Result<Vec<u8>> {
    // Whoever never accepts could make a connection wait for ever.
    let at_once = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, at_once, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(machine.path(SOCKET))?)?;
    let mut stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(QUESTION)?;
    let mut answer = vec![0; LONGEST];
    // The status stands at the beginning: one read has it, or it is nonsense.
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// Reads a status line: 200 ready, 400 starting, 503 not ready (the reference names these three); others say nothing.
pub(super) fn read(answer: &[u8]) -> Readiness {
    let line = answer.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    let Some(status) = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 ")) else {
        return Readiness::Silent;
    };
    match status.get(..3) {
        Some(b"200") => Readiness::Ready,
        Some(b"400" | b"503") => Readiness::NotReady(said(status)),
        _ => Readiness::Silent,
    }
}

/// As it is quoted, but without the quotation marks.
fn said(status: &[u8]) -> String {
    let said = quoted(status.get(..LONGEST_SAID).unwrap_or(status));
    said.strip_prefix('"').and_then(|said| said.strip_suffix('"')).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_known_answers_say_anything() {
        let stories: [(&[u8], Readiness); 9] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Readiness::Ready),
            (b"HTTP/1.1 400 Bad Request\r\n", Readiness::NotReady("400 Bad Request".into())),
            (b"HTTP/1.0 503 Service Unavailable\r\n", Readiness::NotReady("503 Service Unavailable".into())),
            (b"HTTP/1.1 503", Readiness::NotReady("503".into())),
            (b"HTTP/1.1 503 \x1b[2J", Readiness::NotReady("503 \\x1b[2J".into())),
            (b"HTTP/1.1 404 Not Found\r\n", Readiness::Silent),
            (b"HTTP/1.1 20", Readiness::Silent),
            (b"220 smtp.example.test", Readiness::Silent),
            (b"", Readiness::Silent),
        ];
        for (answer, readiness) in stories {
            assert_eq!(read(answer), readiness, "{answer:?}");
        }
    }

    #[test]
    fn what_the_agent_says_is_cut_and_quoted_without_a_mark_too_many() {
        let long = [b"HTTP/1.1 503 ".as_slice(), &[b'x'; 70]].concat();
        assert_eq!(read(&long), Readiness::NotReady(format!("503 {}", "x".repeat(56))));
        assert_eq!(read(b"HTTP/1.1 503 \"no\""), Readiness::NotReady("503 \\\"no\\\"".into()));
    }
}
