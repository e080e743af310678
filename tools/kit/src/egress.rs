//! Where Bureau goes on behalf of its users: public addresses only. An address that a user types must not become a way
//! into the network that the server stands in.
//!
//! A name says nothing until it is resolved, and may be resolved to something else a moment later. So the spelling of an
//! address is checked when it is saved, and what it leads to when it is dialled: by the resolver that hands the
//! addresses to the connection, so that what was checked is what is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

/// A range of addresses, such as `127.0.0.0/8`, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of addresses; write it like 127.0.0.0/8, 10.1.2.3 or fd00::/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.bits));
                own.to_bits().checked_shr(shift).unwrap_or_default()
                    == other.to_bits().checked_shr(shift).unwrap_or_default()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.bits));
                own.to_bits().checked_shr(shift).unwrap_or_default()
                    == other.to_bits().checked_shr(shift).unwrap_or_default()
            }
            _ => false,
        }
    }
}

/// What may be dialled.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<Network>,
}

/// Names that never lead to a public address, or must not.
const OWN_NAMES: &[&str] =
    &["localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "home.arpa"];

const NOT_PUBLIC: &str = "is not an address that Bureau may go to: only public http and https addresses are";

impl Guard {
    /// Public addresses, and these: for development, or receivers in the own network.
    pub fn allowing(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// Whether this address may be dialled.
    pub fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.holds(address.to_canonical()))
    }

    /// An address as a user typed it, if its spelling leads nowhere that it must not. What its name is resolved to is to be
    /// checked when it is dialled.
    pub fn checked(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text.trim())
            .map_err(|_| "is no web address; write it like https://example.com/hook".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password; give api_token instead".to_owned());
        }
        let free = match url.host() {
            Some(Host::Ipv4(address)) => self.literal(IpAddr::V4(address))?,
            Some(Host::Ipv6(address)) => self.literal(IpAddr::V6(address))?,
            Some(Host::Domain(name)) => self.name(name)?,
            None => return Err(NOT_PUBLIC.to_owned()),
        };
        // What listens below 1024 and is no web server speaks another protocol, which a request must not be smuggled into.
        let port = url.port_or_known_default().unwrap_or_default();
        if !free && !matches!(port, 80 | 443 | 1024..) {
            return Err("has a port that is not used for the web; use 443, 80 or one above 1023".to_owned());
        }
        Ok(url)
    }

    /// Whether an address that may be dialled is one of the allowed ones.
    fn literal(&self, address: IpAddr) -> Result<bool, String> {
        match (is_public(address), self.allows(address)) {
            (true, _) => Ok(false),
            (false, true) => Ok(true),
            (false, false) => Err(NOT_PUBLIC.to_owned()),
        }
    }

    fn name(&self, name: &str) -> Result<bool, String> {
        if !self.allowed.is_empty() {
            return Ok(true);
        }
        let name = name.trim_end_matches('.').to_lowercase();
        let is_own = |own: &&str| name == **own || name.strip_suffix(*own).is_some_and(|rest| rest.ends_with('.'));
        if !name.contains('.') || OWN_NAMES.iter().any(is_own) { Err(NOT_PUBLIC.to_owned()) } else { Ok(false) }
    }
}

/// Whether an address is one of the public internet, reached as it is written: no own network, no way around to one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // Registered for special purposes (IANA): this network, private, shared (carriers), loopback, link-local, protocols,
    // documentation, 6to4 relays, benchmarks, multicast, reserved and broadcast.
    const SPECIAL: [([u8; 4], u32); 16] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 31, 196, 0], 24),
        ([192, 52, 193, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    let bits = address.to_bits();
    !SPECIAL.iter().any(|(network, length)| {
        let shift = 32_u32.saturating_sub(*length);
        bits.checked_shr(shift) == u32::from_be_bytes(*network).checked_shr(shift)
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out. That leaves out the unspecified address, loopback, mapped and compatible IPv4, NAT64,
    // unique local, link-local and multicast, without naming them.
    let [first, second, ..] = address.segments();
    let protocols = first == 0x2001 && second < 0x0200; // 2001::/23: Teredo, ORCHID, benchmarks
    let documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    let six_to_four = first == 0x2002;
    let sinkhole = first == 0x2620 && second == 0x004f;
    (0x2000..0x4000).contains(&first) && !protocols && !documentation && !six_to_four && !sinkhole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public_and_nothing_else_is() {
        for public in
            ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in ["2606:4700::1111", "2a00:1450::1", "2001:200::1", "3ffe::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for own in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.5",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.5",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2620:4f:8000::1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
    }

    #[test]
    fn ranges_are_allowed_by_their_bits() {
        let guard = Guard::allowing(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (address, expected) in [
            ("127.9.9.9", true),
            ("::ffff:127.0.0.1", true),
            ("128.0.0.1", true),
            ("10.0.0.1", false),
            ("fd12::1", true),
            ("fc00::1", false),
        ] {
            assert_eq!(guard.allows(address.parse().unwrap()), expected, "{address}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().holds("10.0.0.1".parse().unwrap()));
        for wrong in ["127.0.0.0/33", "localhost", "127.0.0.0/x", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert!(guard.checked("http://localhost:3000/x").is_ok() && guard.checked("http://127.0.0.1:22/").is_ok());
    }

    #[test]
    fn what_a_user_types_is_refused_by_its_spelling_where_that_tells_enough() {
        let guard = Guard::default();
        for good in
            ["https://example.com/hook", "http://example.com:8080/", "https://1.1.1.1/", "https://żółć.pl/x?y=1"]
        {
            assert!(guard.checked(good).is_ok(), "{good}");
        }
        for (wrong, why) in [
            ("ftp://example.com/", "must begin with https:// or http://"),
            ("https://user@example.com/", "must not hold a user name or password; give api_token instead"),
            ("https://example.com:22/", "has a port that is not used for the web; use 443, 80 or one above 1023"),
            ("example.com", "is no web address; write it like https://example.com/hook"),
            ("http://LOCALHOST./", NOT_PUBLIC),
            ("http://printer/", NOT_PUBLIC),
            ("http://metadata.google.internal/", NOT_PUBLIC),
            ("http://2130706433/", NOT_PUBLIC),
        ] {
            assert_eq!(guard.checked(wrong).unwrap_err(), why, "{wrong}");
        }
    }
}
