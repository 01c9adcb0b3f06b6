//! Where a redirect may lead (N9).
//!
//! Hosts are judged by what the URL says: literal addresses and well-known names. What a DNS name resolves
//! to isn't known before the client connects, so a public name that points to a private address is
//! not noticed here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, StatusCode, header};
use url::{Host, Url};

use super::target::check_scheme;
use crate::config::NetConfig;

/// Whether `status` sends elsewhere.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Why a redirect is not followed; says no secret.
pub(crate) type Refusal = String;

/// Where the answer of the last of `visited` sends us. `visited` begins with the first URL asked.
pub(crate) fn next(
    config: &NetConfig,
    visited: &[Url],
    headers: &HeaderMap,
) -> Result<Url, Refusal> {
    let from = visited.last().ok_or("nothing was asked")?;
    let location = headers.get(header::LOCATION).ok_or("no Location")?;
    // Servers send UTF-8 unescaped; the parser escapes it.
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| "Location is no text")?;
    let mut to = from.join(location).map_err(|error| format!("Location is no URL: {error}"))?;
    to.set_fragment(None);
    check_scheme(&to)?;
    if from.scheme() == "https" && to.scheme() == "http" && !config.allow_downgrade {
        return Err("from https to http".into());
    }
    if !is_private(from) && is_private(&to) && !config.allow_private_redirects {
        return Err("from a public host to a private address".into());
    }
    if visited.contains(&to) {
        return Err("they go in a circle".into());
    }
    if visited.len() > config.max_redirects as usize {
        return Err(format!("more than {}", config.max_redirects));
    }
    Ok(to)
}

/// Whether the host of `url` is this machine or in a private network, as far as the URL tells.
fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private_v4(address),
        Some(Host::Ipv6(address)) => is_private_v6(address),
        Some(Host::Domain(name)) => is_private_name(name),
        None => false,
    }
}

/// Names that never leave the local network: RFC 6761, 6762, 8375 and common use; and names without a
/// dot.
fn is_private_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if let Ok(address) = name.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(address) => is_private_v4(address),
            IpAddr::V6(address) => is_private_v6(address),
        };
    }
    match name.rsplit_once('.') {
        None => true,
        Some((_, last)) => {
            matches!(last, "localhost" | "local" | "internal" | "lan" | "home")
                || name.ends_with(".home.arpa")
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || a == 0
        // Carrier-grade NAT, RFC 6598.
        || (a == 100 && b & 0xc0 == 64)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = embedded_v4(address) {
        return is_private_v4(v4);
    }
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:a.b.c.d`) or by NAT64 (`64:ff9b::a.b.c.d`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, .., g, h] = address.segments();
    let nat64 = (a, b) == (0x64, 0xff9b);
    let last = || Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    address.to_ipv4_mapped().or_else(|| nat64.then(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(config: &NetConfig, from: &str, location: &str) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        next(config, &[Url::parse(from).unwrap()], &headers).map(String::from)
    }

    #[test]
    fn n9_locations_are_taken_relative_to_the_url_that_sent_them() {
        let config = NetConfig::default();
        let go = |location| go(&config, "http://h.example/a/b?c", location).unwrap();
        assert_eq!(go("d"), "http://h.example/a/d");
        assert_eq!(go("/d?e"), "http://h.example/d?e");
        assert_eq!(go("//x.example/y"), "http://x.example/y");
        assert_eq!(go("https://x.example/y#z"), "https://x.example/y");
    }

    #[test]
    fn n9_what_the_configuration_forbids_is_refused() {
        let strict = NetConfig::default();
        let loose = NetConfig {
            allow_downgrade: true,
            allow_private_redirects: true,
            ..NetConfig::default()
        };
        let (secure, plain) = ("https://h.example/", "http://h.example/");
        assert!(go(&strict, secure, "http://h.example/").is_err());
        assert!(go(&loose, secure, "http://h.example/").is_ok());
        assert!(go(&strict, plain, "https://h.example/").is_ok());
        for private in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[::]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://nas.local/",
            "http://router/",
        ] {
            assert!(go(&strict, plain, private).is_err(), "{private}");
            assert!(go(&loose, plain, private).is_ok(), "{private}");
            assert!(go(&strict, "http://192.168.1.2/", private).is_ok(), "{private}");
        }
        for public in ["http://100.128.0.1/", "http://172.32.0.1/", "http://[2001:db8::1]/"] {
            assert!(go(&strict, plain, public).is_ok(), "{public}");
        }
        for other in ["file:///etc/passwd", "ftp://h.example/", "data:,x", "http://"] {
            assert!(go(&loose, plain, other).is_err(), "{other}");
        }
    }

    #[test]
    fn n9_circles_and_too_many_hops_end() {
        let config = NetConfig { max_redirects: 2, ..NetConfig::default() };
        let url = |path: &str| Url::parse("http://h.example/").unwrap().join(path).unwrap();
        let to = |path: &str| HeaderMap::from_iter([(header::LOCATION, path.parse().unwrap())]);
        assert!(next(&config, &[url("a"), url("b")], &to("c")).is_ok());
        assert!(next(&config, &[url("a"), url("b")], &to("a")).unwrap_err().contains("circle"));
        assert!(next(&config, &[url("a"), url("b")], &to("b#x")).is_err());
        let three = [url("a"), url("b"), url("c")];
        assert!(next(&config, &three, &to("d")).unwrap_err().contains("more than 2"));
        let none = NetConfig { max_redirects: 0, ..NetConfig::default() };
        assert!(next(&none, &[url("a")], &to("b")).is_err());
        assert!(next(&config, &[url("a")], &HeaderMap::new()).is_err());
    }
}
