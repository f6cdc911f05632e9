//! An answer, before it is bytes.

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: Status,
    /// The body, in plain text.
    pub body: String,
}

/// The statuses that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything is well.
    Ok,
    /// The same, at this very moment only.
    Alive,
    /// What the client has is still so.
    NotModified,
    /// The request makes no sense.
    BadRequest,
    /// Nothing is there.
    NotFound,
    /// Only GET and HEAD.
    MethodNotAllowed,
    /// The request took too long to come.
    RequestTimeout,
    /// Its head is larger than any of a client of ours.
    TooLarge,
    /// The server that is asked does not answer, and never did lately.
    BadGateway,
    /// More connections than are served.
    Busy,
}

impl Status {
    /// Code and reason.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok | Self::Alive => "200 OK",
            Self::NotModified => "304 Not Modified",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::BadGateway => "502 Bad Gateway",
            Self::Busy => "503 Service Unavailable",
        }
    }
}

impl Reply {
    /// This status and these words.
    #[must_use]
    pub fn new(status: Status, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}
