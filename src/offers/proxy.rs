//! Which proxy leads to the version server. The variables mean what they mean to the Teleport agent beside us, a Go program
//! (golang.org/x/net/http/httpproxy): both must take the same way out of the same environment.

use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use crate::error::{Class, Error};

/// The values of the proxy variables, as they are in the environment. Empty means unset.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `https_proxy` or `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `all_proxy` or `ALL_PROXY`: used when there is no `https`. Go ignores it, curl does not.
    pub all: Option<String>,
    /// `no_proxy` or `NO_PROXY`.
    pub none: Option<String>,
}

/// A proxy to use, and how to name it without its password.
#[derive(Clone)]
pub struct Chosen {
    pub(super) proxy: Proxy,
    pub(super) called: String,
}

impl Proxies {
    /// The proxy for this server; `None` means that it is reached directly.
    ///
    /// # Errors
    /// The variable holds no address of an HTTP proxy. The address is not repeated: it may hold a password.
    pub fn towards(&self, host: &str, port: u16) -> Result<Option<Chosen>, Error> {
        let set = |value: &Option<String>| value.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (variable, address) = match (set(&self.https), set(&self.all)) {
            (Some(address), _) => ("https_proxy", address),
            (None, Some(address)) => ("all_proxy", address),
            (None, None) => return Ok(None),
        };
        if is_this_machine(host) || self.none.as_deref().is_some_and(|list| bypasses(list, host, port)) {
            return Ok(None);
        }
        let refuse = || {
            Error::new(
                Class::Config,
                format!("the environment variable {variable} does not hold the address of an HTTP proxy"),
                format!("set {variable} to an address such as http://proxy.example.com:3128, or unset it"),
            )
        };
        let proxy = Proxy::new(&address).map_err(|_| refuse())?;
        let scheme = match proxy.protocol() {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Https => "https",
            // SOCKS would need one more feature of ureq, and nobody asked for it.
            _ => return Err(refuse()),
        };
        let called = format!("{scheme}://{}:{}", proxy.host(), proxy.port());
        Ok(Some(Chosen { proxy, called }))
    }
}

impl std::fmt::Debug for Proxies {
    /// Says what is set, not what it is: addresses may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_set = |value: &Option<String>| value.is_some();
        f.debug_struct("Proxies")
            .field("https", &is_set(&self.https))
            .field("all", &is_set(&self.all))
            .field("none", &self.none)
            .finish()
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `no_proxy` exempts this server: `*`, a name (with all below it), `.name` or `*.name` (only those below it), an address, a
/// network `10.0.0.0/8`; each but the network may end in `:port`.
fn bypasses(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return address.is_some_and(|address| is_within(address, network, bits));
        }
        let (name, wanted) = split_port(&entry);
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        match address {
            Some(address) => name.parse::<IpAddr>().is_ok_and(|exempt| exempt == address),
            None => is_below(&host, name),
        }
    })
}

fn is_below(host: &str, name: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") => false,
        Some(_) => host.ends_with(name),
        None => host.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('.')),
    }
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let (inner, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (inner, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let (one, other, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32_u32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    let Some(ignored) = width.checked_sub(bits) else { return false };
    one.checked_shr(ignored).unwrap_or(0) == other.checked_shr(ignored).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(https: &str, all: &str, none: &str, host: &str) -> String {
        let proxies = Proxies { https: Some(https.into()), all: Some(all.into()), none: Some(none.into()) };
        match proxies.towards(host, 443) {
            Ok(Some(chosen)) => chosen.called,
            Ok(None) => "direct".to_owned(),
            Err(error) => error.what,
        }
    }

    #[test]
    fn h30_the_proxy_for_https_comes_before_the_one_for_everything() {
        assert_eq!(way("", "", "", "a.test"), "direct");
        assert_eq!(way("http://p.test:3128", "http://q.test:1", "", "a.test"), "http://p.test:3128");
        assert_eq!(way(" ", "http://q.test:1/", "", "a.test"), "http://q.test:1");
        assert_eq!(way("p.test:3128", "", "", "a.test"), "http://p.test:3128");
        assert_eq!(way("https://p.test", "", "", "a.test"), "https://p.test:443");
        assert_eq!(way("http://[::1]:3128", "", "", "a.test"), "http://[::1]:3128");
        assert_eq!(way("http://p.test:3128", "", "", "localhost"), "direct");
        assert_eq!(way("http://p.test:3128", "", "", "127.3.0.1"), "direct");
    }

    #[test]
    fn h30_a_proxy_is_named_without_its_password_even_when_it_makes_no_sense() {
        assert_eq!(way("http://user:secret@p.test:3128", "", "", "a.test"), "http://p.test:3128");
        let refused = "the environment variable https_proxy does not hold the address of an HTTP proxy";
        for address in
            ["socks5://user:secret@p.test", "http://user:secret@", "ftp://user:secret@p.test", "http://user:sec ret@p.test"]
        {
            assert_eq!(way(address, "", "", "a.test"), refused, "{address}");
        }
        let proxies = Proxies { https: Some("http://user:secret@p.test".into()), ..Proxies::default() };
        assert!(!format!("{proxies:?}").contains("secret"));
    }

    #[test]
    fn h30_no_proxy_means_what_it_means_to_the_agent() {
        let stories = [
            ("*", "a.test", true),
            ("a.test", "a.test", true),
            ("A.Test", "a.tesT", true),
            ("a.test", "x.a.test", true),
            ("a.test", "xa.test", false),
            (".a.test", "x.a.test", true),
            (".a.test", "a.test", false),
            ("*.a.test", "x.a.test", true),
            ("*.a.test", "a.test", false),
            ("a.test:443", "a.test", true),
            ("a.test:8443", "a.test", false),
            ("b.test, a.test", "a.test", true),
            ("b.test a.test", "a.test", true),
            ("b.test,,", "a.test", false),
            (".", "a.test", false),
            ("test", "a.test", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("10.0.0.1:443", "10.0.0.1", true),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.9.9.9", false),
            ("0.0.0.0/0", "11.9.9.9", true),
            ("10.0.0.0/33", "10.9.9.9", false),
            ("10.0.0.0/8", "a.test", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "10.0.0.1", false),
            ("::/0", "fd12::1", true),
            ("fd12::1", "fd12::1", true),
            ("[fd12::1]:443", "fd12::1", true),
            ("[fd12::1]:80", "fd12::1", false),
        ];
        for (list, host, direct) in stories {
            assert_eq!(bypasses(list, host, 443), direct, "{list} for {host}");
        }
    }
}
