//! One connection: requests from bytes, answers to bytes, and the limits that a public server needs. The grammar is httparse's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::http::reply::{Reply, Status};
use crate::rules::moment::Moment;

/// No client of ours sends a head larger than this, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;
/// Or more headers.
const MOST_HEADERS: usize = 64;
/// For so long a client may be silent between two requests.
const IDLE: Duration = Duration::from_secs(15);
/// So long it may take to send one, and so long all answers of a connection may wait, together, for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer that the kernel takes within this time has not waited.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A connection, and what was read of it too much.
pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8; LARGEST_HEAD]>,
    filled: usize,
    patience: Option<Duration>,
    /// What is left of the time that answers may wait.
    unread: Duration,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Such as `GET`.
    pub method: String,
    /// What is asked for, as it is sent.
    pub target: String,
    /// What the client has of an earlier answer.
    pub has: Option<String>,
    /// Whether it wants another answer on this connection.
    pub after: After,
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It waits for the next request.
    Stay,
    /// It ends.
    Close,
}

/// What comes next on a connection.
pub enum Next {
    /// One that can be answered.
    Request(Head),
    /// No sound request, and how that is answered.
    Refused(Reply),
    /// The client has gone, or has nothing more to ask.
    Gone,
}

impl Connection {
    /// On this stream.
    ///
    /// # Errors
    /// It is gone already.
    pub fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Box::new([0; LARGEST_HEAD]), filled: 0, patience: None, unread: PATIENCE })
    }

    /// Waits for the next request; `begun` is called when its first byte is there.
    pub fn next(&mut self, begun: impl Fn()) -> Next {
        let mut since = (self.filled > 0).then(|| {
            begun();
            Instant::now()
        });
        loop {
            match head(self.buffer.get(..self.filled).unwrap_or_default()) {
                Parsed::Whole(head, length) => {
                    self.buffer.copy_within(length..self.filled, 0);
                    self.filled -= length;
                    return Next::Request(head);
                }
                Parsed::Nonsense(reply) => return Next::Refused(reply),
                Parsed::Part if self.filled == LARGEST_HEAD => {
                    return Next::Refused(Reply::new(Status::TooLarge, "the head of the request is too large\n"));
                }
                Parsed::Part => {}
            }
            let left = since.map_or(IDLE, |since| PATIENCE.saturating_sub(since.elapsed()));
            match self.read(left) {
                Ok(0) => return Next::Gone,
                Ok(_) if since.is_none() => {
                    begun();
                    since = Some(Instant::now());
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let is_late = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                    return match since {
                        Some(_) if is_late => Next::Refused(Reply::new(Status::RequestTimeout, "the request took too long\n")),
                        _ => Next::Gone,
                    };
                }
            }
        }
    }

    /// Reads what is there, or waits for so long.
    fn read(&mut self, left: Duration) -> std::io::Result<usize> {
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        if self.patience != Some(left) {
            self.stream.set_read_timeout(Some(left))?;
            self.patience = Some(left);
        }
        let count = self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += count;
        Ok(count)
    }

    /// Sends an answer to that request, or to none; whether it got away.
    pub fn answer(&mut self, reply: &Reply, head: Option<&Head>, after: After, now: Moment) -> bool {
        self.send(&bytes(reply, head, after, now))
    }

    /// The time-out of a socket is for one call, which a client that reads a little now and then outlives for ever. So what is waited
    /// counts for the whole connection; an answer that is taken at once costs one call, as ever.
    fn send(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let began = Instant::now();
            match self.stream.write(bytes) {
                Ok(0) => return false,
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            let waited = began.elapsed();
            if waited >= AT_ONCE {
                self.unread = self.unread.saturating_sub(waited);
                if self.unread.is_zero() || self.stream.set_write_timeout(Some(self.unread)).is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Whether something of the next request has been read already.
    #[must_use]
    pub fn has_part(&self) -> bool {
        self.filled > 0
    }

    /// Whether the next request can be answered, or refused, without reading more.
    #[must_use]
    pub fn has_whole(&self) -> bool {
        self.has_part() && !matches!(head(self.buffer.get(..self.filled).unwrap_or_default()), Parsed::Part)
    }

    /// Lets the client read what was sent last: closing over what it still sends would take it from it.
    pub fn part(mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let end = Instant::now() + Duration::from_secs(1);
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(200)));
        while Instant::now() < end && self.stream.read(&mut *self.buffer).is_ok_and(|count| count > 0) {}
    }

    /// The same where nobody can be waited for: with what the client has sent until now.
    pub fn part_at_once(mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.stream.read(&mut *self.buffer);
    }
}

/// What the first bytes of a connection are.
pub enum Parsed {
    /// A request, and its length.
    Whole(Head, usize),
    /// The beginning of one.
    Part,
    /// Neither.
    Nonsense(Reply),
}

/// Reads the head of a request. Whatever has two meanings has none here: a body, several hosts, old line folding.
pub fn head(bytes: &[u8]) -> Parsed {
    let nonsense = |what: &str| Parsed::Nonsense(Reply::new(Status::BadRequest, format!("{what}\n")));
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Part,
        Err(httparse::Error::TooManyHeaders) => {
            return Parsed::Nonsense(Reply::new(Status::TooLarge, "the request has too many headers\n"));
        }
        Err(error) => return nonsense(&format!("this is no request of HTTP/1: {error}")),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return nonsense("this is no request of HTTP/1");
    };
    let values = |name: &'static str| {
        let named = request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii())
    };
    if values("transfer-encoding").next().is_some() || values("content-length").any(|length| length != b"0") {
        // What is wrong with a POST is not that it has a body.
        return if matches!(method, "GET" | "HEAD") { nonsense("requests have no body here") } else { only_get_and_head() };
    }
    if version == 1 && values("host").count() != 1 {
        return nonsense("a request names one host");
    }
    let wants = |word: &str| {
        let words = values("connection").flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).any(|named| named.eq_ignore_ascii_case(word.as_bytes()))
    };
    let head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        has: values("if-none-match").next().and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned),
        after: if version == 0 || wants("close") { After::Close } else { After::Stay },
    };
    Parsed::Whole(head, length)
}

fn only_get_and_head() -> Parsed {
    Parsed::Nonsense(Reply::new(Status::MethodNotAllowed, "only GET and HEAD\n"))
}

/// An answer as it is sent. What the client has already is not sent again.
fn bytes(reply: &Reply, head: Option<&Head>, after: After, now: Moment) -> Vec<u8> {
    let Reply { mut status, body } = reply.clone();
    let tag = tag(&body);
    let has = head.and_then(|head| head.has.as_deref());
    let is_known =
        |has: &str| has.split(',').map(str::trim).any(|has| has == "*" || has.strip_prefix("W/").unwrap_or(has) == tag);
    if status == Status::Ok && has.is_some_and(is_known) {
        status = Status::NotModified;
    }
    let mut text = String::with_capacity(256 + body.len());
    text.push_str("HTTP/1.1 ");
    text.push_str(status.line());
    text.push_str("\r\nDate: ");
    text.push_str(&http_date(now));
    match status {
        Status::Ok | Status::NotModified => {
            text.push_str("\r\nCache-Control: max-age=60\r\nETag: ");
            text.push_str(&tag);
        }
        _ => text.push_str("\r\nCache-Control: no-store"),
    }
    if status == Status::MethodNotAllowed {
        text.push_str("\r\nAllow: GET, HEAD");
    }
    if status == Status::Busy {
        text.push_str("\r\nRetry-After: 5");
    }
    if status != Status::NotModified {
        text.push_str("\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ");
        text.push_str(&body.len().to_string());
    }
    if after == After::Close {
        text.push_str("\r\nConnection: close");
    }
    text.push_str("\r\n\r\n");
    if status != Status::NotModified && head.is_none_or(|head| head.method != "HEAD") {
        text.push_str(&body);
    }
    text.into_bytes()
}

/// A strong tag: the answers are so short that each is its own.
fn tag(body: &str) -> String {
    let lines = body.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(",");
    format!("\"{}\"", lines.replace(' ', "-"))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn http_date(now: Moment) -> String {
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(now.unix()) else { return "Thu, 01 Jan 1970 00:00:00 GMT".into() };
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let (hour, minute, second) = at.to_hms();
    format!("{}, {:02} {} {:04} {hour:02}:{minute:02}:{second:02} GMT", short(&weekday), at.day(), short(&month), at.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match head(text.as_bytes()) {
            Parsed::Whole(head, length) => format!("{} {} {:?}, {length} bytes", head.method, head.target, head.after),
            Parsed::Part => "part".into(),
            Parsed::Nonsense(reply) => format!("{}: {}", reply.status.line(), reply.body.trim_end()),
        }
    }

    #[test]
    fn a_request_is_read_strictly_and_what_follows_it_is_left() {
        assert_eq!(read("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y"), "GET /x Stay, 28 bytes");
        assert_eq!(read("GET /x HTTP/1.1\r\nhost:a\r\nConnection: keep-alive, Close\r\n\r\n"), "GET /x Close, 58 bytes");
        assert_eq!(read("GET /x HTTP/1.0\r\n\r\n"), "GET /x Close, 19 bytes");
        assert_eq!(read("GET /x HTTP/1.1\r\nHost: a\r\n"), "part");
        assert_eq!(read(""), "part");
        let bad = "400 Bad Request: ";
        assert_eq!(read("GET /x HTTP/1.1\r\n\r\n"), format!("{bad}a request names one host"));
        assert_eq!(read("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), format!("{bad}a request names one host"));
        for body in ["Content-Length: 1", "Content-Length: 0, 1", "Transfer-Encoding: chunked", "Content-Length: +0"] {
            assert_eq!(
                read(&format!("GET /x HTTP/1.1\r\nHost: a\r\n{body}\r\n\r\n")),
                format!("{bad}requests have no body here")
            );
        }
        let posted = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx=y";
        assert_eq!(read(posted), "405 Method Not Allowed: only GET and HEAD");
        for nonsense in [
            "\0",
            "GET /x HTTP/2.0\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "GET /x HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        ] {
            assert!(
                read(nonsense).starts_with(&format!("{bad}this is no request of HTTP/1")),
                "{nonsense:?}: {}",
                read(nonsense)
            );
        }
        let many: String = (0..65).map(|n| format!("x{n}: y\r\n")).collect();
        assert!(read(&format!("GET / HTTP/1.1\r\n{many}\r\n")).starts_with("431 "));
    }

    fn sent(reply: &Reply, method: &str, has: Option<&str>) -> String {
        let head = Head { method: method.into(), target: "/".into(), has: has.map(str::to_owned), after: After::Stay };
        String::from_utf8(bytes(reply, Some(&head), After::Stay, Moment::from_unix(784_111_777))).unwrap()
    }

    #[test]
    fn an_answer_says_how_long_it_is_good_for_and_what_it_is_known_by() {
        let version = Reply::new(Status::Ok, "v16.2.0");
        let head = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: max-age=60\r\nETag: \"v16.2.0\"\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(sent(&version, "GET", None), format!("{head}v16.2.0"));
        assert_eq!(sent(&version, "HEAD", None), head);
        assert_eq!(sent(&version, "GET", Some("\"v16.1.7\"")), format!("{head}v16.2.0"));
        for known in ["\"v16.2.0\"", "W/\"v16.2.0\"", "\"x\", \"v16.2.0\"", "*"] {
            let same = "HTTP/1.1 304 Not Modified\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nCache-Control: max-age=60\r\nETag: \"v16.2.0\"\r\n\r\n";
            assert_eq!(sent(&version, "GET", Some(known)), same);
        }
    }

    #[test]
    fn a_refusal_is_not_kept_and_says_what_is_allowed() {
        let said = sent(&Reply::new(Status::MethodNotAllowed, "only GET and HEAD\n"), "POST", Some("*"));
        assert!(
            said.starts_with("HTTP/1.1 405 Method Not Allowed\r\n")
                && said.contains("\r\nAllow: GET, HEAD\r\n")
                && said.contains("no-store"),
            "{said}"
        );
    }
}
